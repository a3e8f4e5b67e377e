"""The service as the contract tests see it: somewhere to send requests, and tokens for whoever they need."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import jwt
from client import Client, InProcess, OverSocket, Response
from conformance import Conforming

from servers.todo import Served
from support.log import ErrorRecords, error_lines
from todo_adapters.auth.keys import SharedSecrets
from todo_adapters.auth.verifier import Verifier
from todo_adapters.http.application import http_application
from todo_adapters.http.live import Live
from todo_adapters.http.openapi import openapi_json
from todo_adapters.http.protocol.body import DEFAULT_LIMIT
from todo_adapters.live import Listeners
from todo_adapters.memory import MemoryTasks
from todo_adapters.observability.metrics import Metrics
from todo_app.server.connections import ServerConfig
from todo_app.server.server import Server
from todo_domain import Clock, Tasks, TaskService, TokenVerifier
from todo_domain.owner import DEFAULT_QUOTA
from todo_domain.ports import utc_now

_run = os.urandom(3).hex()
_numbers = count(1)


class Caller:
    """One user with a token. `await ann("GET", "/tasks")` asks below their own path."""

    def __init__(self, api: Api, sub: str) -> None:
        self.api = api
        self.id = sub
        self.token = api.token(sub)
        self.path = f"/api/{quote(sub, safe='')}"
        self._before: int | None = None

    async def __call__(self, method: str, below: str = "", **how: Any) -> Response:
        """Send a request below `/api/{user_id}` with this user's token; `how` is what `Client.request` takes."""
        return await self.api.client.request(method, self.path + below, **{"token": self.token} | how)

    async def task(self, **members: Any) -> dict[str, Any]:
        """Create a task and return it."""
        response = await self("POST", "/tasks", json={"title": "Buy groceries"} | members)
        assert response.status == 201, response
        task = response.json()
        if self._before is None:
            self._before = task["revision"] - 1
        return task

    async def writes(self) -> int:
        """Return how many writes of this user's there were, the first of them by `task`."""
        return (await self.state())["revision"] - (self._before or 0)

    async def read(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return a task as it is now."""
        response = await self("GET", f"/tasks/{task['id']}")
        assert response.status == 200, response
        return response.json()

    async def list(self, query: str = "") -> list[dict[str, Any]]:
        """Return the list that a query string asks for."""
        response = await self("GET", "/tasks" + query)
        assert response.status == 200, response
        return response.json()

    async def titles(self, query: str = "") -> list[str]:
        """Return the titles of that list."""
        return [task["title"] for task in await self.list(query)]

    async def state(self) -> dict[str, Any]:
        """Return everything there is of this user, the counter included: it tells whether anything was written."""
        response = await self("GET", "/changes")
        assert response.status == 200, response
        return response.json()


class Api:
    """A running service. `store` is at hand only where it runs in this process.

    `errors` returns the error lines that it has logged, where it is a real server.
    """

    def __init__(
        self,
        client: Client,
        secret: bytes,
        *,
        store: Tasks | None = None,
        errors: Callable[[], list[str]] = list,
    ) -> None:
        self.bare = client
        self.client: Client = Conforming(client)
        self.store = store
        self.errors = errors
        self._secret = secret

    def token(self, sub: str, /, **claims: Any) -> str:
        """Return a token of this user; a claim that is None is left out."""
        claims = {"sub": sub, "exp": int(time.time()) + 600} | claims
        said = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(said, self._secret, "HS256")

    def user(self, sub: str | None = None) -> Caller:
        """Return a user; without `sub`, one that nobody has seen before."""
        return Caller(self, sub or f"user-{_run}-{next(_numbers)}")

    async def request(self, method: str, target: str | bytes, **how: Any) -> Response:
        """Send a request as nobody in particular, and hold the response against the contract."""
        return await self.client.request(method, target, **how)


Serve = Callable[..., AbstractContextManager[Api]]
"""Starts a service with `quota`, `cors_origins` and `body_limit`, in this process or in another one."""


@contextmanager
def in_memory(
    *,
    quota: int = DEFAULT_QUOTA,
    cors_origins: Iterable[str] = (),
    body_limit: int = DEFAULT_LIMIT,
    clock: Clock = utc_now,
    store: Tasks | None = None,
    verifier: TokenVerifier | None = None,
    **parts: Any,
) -> Iterator[Api]:
    """Serve in this process, over the memory store, without a socket; `parts` are more of `http_application`."""
    app, store, secret = _composed(quota, cors_origins, body_limit, clock, store, verifier, **parts)
    yield Api(InProcess(app), secret, store=store)


@contextmanager
def over_uvicorn(
    *, quota: int = DEFAULT_QUOTA, cors_origins: Iterable[str] = (), body_limit: int = DEFAULT_LIMIT
) -> Iterator[Api]:
    """Serve the same through our server and a socket, from another thread. Its log must stay without an error."""
    app, _, secret = _composed(quota, cors_origins, body_limit, utc_now, None, None)
    listener = socket.create_server(("127.0.0.1", 0))
    config = ServerConfig(
        app,
        drain_seconds=0,
        most_connections=1_000,
        cors_origins=cors_origins,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    config.linger = 0
    server = Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    errors = ErrorRecords()
    logging.getLogger().addHandler(errors)
    thresholds = gc.get_threshold()
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield Api(OverSocket("127.0.0.1", listener.getsockname()[1]), secret, errors=lambda: errors.lines)
    finally:
        server.should_exit = True
        thread.join()
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        logging.getLogger().removeHandler(errors)


@contextmanager
def over_todo_serve(
    *,
    quota: int = DEFAULT_QUOTA,
    cors_origins: Iterable[str] = (),
    body_limit: int = DEFAULT_LIMIT,
    **settings: str,
) -> Iterator[Api]:
    """Serve with the installed command, in a process of its own; on a SQLite file unless `settings` say otherwise."""
    secret = os.urandom(32).hex()
    settings |= {
        "TODO_JWT_SECRET": secret,
        "TODO_MAX_TASKS_PER_USER": str(quota),
        "TODO_MAX_BODY_BYTES": str(body_limit),
        "TODO_CORS_ORIGINS": " ".join(cors_origins),
    }
    settings = {name: value for name, value in settings.items() if value}
    with TemporaryDirectory() as directory, Served(Path(directory), **settings) as served:
        yield Api(
            OverSocket("127.0.0.1", served.port), secret.encode(), errors=lambda: error_lines(served.process.stderr)
        )


@contextmanager
def over_todo_serve_on_postgres(**settings: Any) -> Iterator[Api]:
    """The same on a PostgreSQL server that is started for it, or on a cluster of Citus: see `servers.citus`."""
    from servers import citus
    from support.sql_places import PostgresDatabases

    with citus.server() as server:
        databases = PostgresDatabases(server)
        with databases.another() as name, over_todo_serve(TODO_DATABASE_URL=databases.url(name), **settings) as api:
            yield api


@contextmanager
def over_todo_serve_through_pgbouncer(**settings: Any) -> Iterator[Api]:
    """The same behind PgBouncer in transaction mode, which has two connections to the server."""
    from servers import citus, pgbouncer
    from support.sql_places import PostgresDatabases

    pgbouncer.require()
    login = PostgresDatabases.LOGIN
    with citus.server() as server:
        databases = PostgresDatabases(server)
        with (
            databases.another() as name,
            pgbouncer.PgBouncer(server, name, pool_size=2, logins={login: PostgresDatabases.PASSWORD}) as pooler,
            over_todo_serve(TODO_DATABASE_URL=pooler.url(login), **settings) as api,
        ):
            yield api


APIS: dict[str, Serve] = {
    "memory": in_memory,
    "uvicorn": over_uvicorn,
    "sqlite": over_todo_serve,
    "postgres": over_todo_serve_on_postgres,
    "pgbouncer": over_todo_serve_through_pgbouncer,
}
"""Every way to run the contract. To add one: a context manager that takes what `Serve` says and yields an Api."""

CHOSEN = os.environ.get("TODO_TEST_APIS", "memory").split()
"""Which of them this run takes: `TODO_TEST_APIS="sqlite postgres" pytest tests/http`."""


def _composed(
    quota: int,
    cors_origins: Iterable[str],
    body_limit: int,
    clock: Clock,
    store: Tasks | None,
    verifier: TokenVerifier | None,
    **parts: Any,
) -> tuple[Any, Tasks, bytes]:
    secret = os.urandom(32)
    store = store or MemoryTasks()
    listeners = Listeners()
    service = TaskService(listeners.waking(store), clock=clock, quota=quota)
    metrics = parts.setdefault("metrics", Metrics())
    app = http_application(
        service=service,
        store=store,
        live=Live(listeners, service, metrics),
        verifier=verifier or Verifier(SharedSecrets([secret])),
        cors_origins=cors_origins,
        body_limit=body_limit,
        **{"audit": Silence(), "openapi": openapi_json(body_limit=body_limit, quota=quota)} | parts,
    )
    return app, store, secret


class Silence:
    """An audit log that keeps nothing."""

    def record(self, event: str, **details: str | int | None) -> None:
        """Forget it."""
