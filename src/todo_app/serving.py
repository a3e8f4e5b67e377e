"""Starts the server; reports every problem that it can find before the first request."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from todo_adapters.sql import migrations, schema
from todo_app.compose import application, audit_of
from todo_app.identity import verifier_of
from todo_app.logs import configure_logging
from todo_app.server.connections import MOST_CONNECTIONS, OTHER_FILES, ServerConfig, most_connections
from todo_app.server.interrupts import held
from todo_app.server.server import Server
from todo_app.server.workers import run_workers
from todo_app.settings import BadSetting, misspelt_settings
from todo_app.settings.machine_secret import machine_secret
from todo_app.signing import sign
from todo_app.standard_streams import OutputError
from todo_domain import user_id

if TYPE_CHECKING:
    from todo_adapters.sql.schema import Moved
    from todo_app.settings import Settings
    from todo_domain import AuditLog

log = logging.getLogger("todo")

SHUTDOWN_TIMEOUT: Final = 30
"""Seconds that requests in flight get to finish; longer than the deadline of any request."""


class CannotStart(Exception):
    """The server cannot start; `str()` is one sentence that says why and what to do."""


def serve(settings: Settings) -> None:
    """Serve until a signal stops the server. Raises BadSetting, CannotStart or MigrationError before that."""
    configure_logging(settings)
    for problem in misspelt_settings():
        log.warning(problem)
    if not most_connections():
        raise CannotStart(
            f"a worker opens up to {OTHER_FILES} files beside its connections, and its hard limit allows no more:"
            " raise it (ulimit -Hn)"
        )
    _find(settings.host, settings.port)
    keys = f"checked with {settings.public()['identity']}"
    tried = None
    if settings.needs_machine_secret:
        secret, file, _ = machine_secret(settings)
        settings = replace(settings, jwt_secrets=(secret,))
        os.environ["TODO_JWT_SECRET"] = secret  # for the worker processes
        keys = f"signed with the secret in {file}, because no TODO_JWT_SECRET is set"
        tried = sign(settings, user_id("demo"), settings.jwt_max_lifetime)
    with closing(audit_of(settings)) as audit:
        verifier_of(settings, audit)  # raises BadSetting here, once, and not in each worker
        state = _prepare_database(settings, audit)
    listener = _listen(settings.host, settings.port)
    with held(signal.SIGINT):
        try:
            _print_start(settings, listener, state, keys, tried)
        except OutputError as problem:
            log.warning("%s: the service starts without the lines that it prints there", problem)
        _run(settings, listener)


def _print_start(settings: Settings, listener: socket.socket, state: str, keys: str, tried: str | None) -> None:
    origin = f"http://{_in_url(settings.host)}:{listener.getsockname()[1]}"
    print(f"todo {version('todo')} serves {origin}")
    print(f"tasks:  {settings.database!r}{state}")
    print(f"tokens: {keys}")
    print(f"docs:   {origin}/docs" if settings.docs else "docs:   off")
    print(_try_it(origin, tried) if tried else f"health: {origin}/health/ready", flush=True)
    if (most := most_connections()) < MOST_CONNECTIONS:
        print(
            f"files:  a worker holds {most:,} connections instead of {MOST_CONNECTIONS:,}, "
            "because its limit of open files is low: raise the hard limit (ulimit -Hn)",
            flush=True,
        )


def _run(settings: Settings, listener: socket.socket) -> None:
    several = settings.workers > 1
    config = ServerConfig(
        "todo_app.compose:from_environment" if several else application(settings),
        factory=several,
        workers=settings.workers,
        drain_seconds=settings.drain_seconds,
        most_connections=most_connections(),
        cors_origins=settings.cors_origins,
        timeout_keep_alive=settings.keep_alive_seconds,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT,
    )
    if several:
        run_workers(config, listener)
        return
    server = Server(config)
    server.run(sockets=[listener])
    if not server.started:
        raise CannotStart("the server stopped before it could serve: the log line above has the reason")


def _prepare_database(settings: Settings, audit: AuditLog) -> str:
    """Migrate a SQLite file, or require a migrated PostgreSQL; return a note to print after the database's name."""
    database = settings.database
    if database.file is not None:
        try:
            moved = migrations.move(database.address)
        except schema.MigrationError as problem:
            raise CannotStart(f"{database.file} cannot be used: {problem}") from None
        note_migration(audit, moved)
        if moved.before == moved.after:
            return ""
        return ", made now" if moved.before == schema.BASE else f", migrated from {moved.before} to {moved.after}"
    if database.url is not None and (behind := migrations.pending(database.url)):
        raise CannotStart(f"the database lacks {len(behind)} migration(s): run todo migrate first")
    return "" if database.url else ", which is lost when the server stops"


def note_migration(audit: AuditLog, moved: Moved) -> str:
    """Record a migration in the audit log, if there was one; return the database's revision."""
    if moved.before != moved.after:
        audit.record("migration_applied", before=moved.before, after=moved.after)
    return moved.after


def _find(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise _no_address_of_ours(host) from None
    return family, address


def _no_address_of_ours(host: str) -> BadSetting:
    return BadSetting(f"TODO_HOST must be an address of this machine, not {host!r}")


def _listen(host: str, port: int) -> socket.socket:
    family, address = _find(host, port)
    try:
        with ExitStack() as closing_on_failure:
            listener = closing_on_failure.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
            closing_on_failure.pop_all()
    except PermissionError:
        raise CannotStart(f"port {port} needs privileges that this user lacks: {_another(8000)}") from None
    except OSError as problem:
        if problem.errno == errno.EADDRNOTAVAIL:
            raise _no_address_of_ours(host) from None
        reason = "is taken" if problem.errno == errno.EADDRINUSE else f"cannot be used ({problem.strerror})"
        raise CannotStart(
            f"port {port} on {host} {reason}: stop the other program, or {_another(port % 65_535 + 1)}"
        ) from None
    listener.set_inheritable(True)
    return listener


def _another(port: int) -> str:
    return f"choose another: todo serve --port {port}, or TODO_PORT={port} make run"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _try_it(origin: str, token: str) -> str:
    return (
        f"curl -i {origin}/api/me/tasks -H 'Authorization: Bearer {token}'"
        " -H 'Content-Type: application/json' -d '{\"title\": \"Buy groceries\"}'"
    )


def report(problem: Exception) -> int:
    """Print the problem in one line on standard error; return exit status 1."""
    print(f"todo: {problem}", file=sys.stderr)
    return 1
