"""Starting the server: everything that can be wrong is said before the first request."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from todo_adapters.sql import migrations, schema
from todo_app import tokens
from todo_app.compose import application, audit_of
from todo_app.connections import ServerConfig, most_connections
from todo_app.identity import verifier_of
from todo_app.logs import configure_logging
from todo_app.server import Server
from todo_app.settings import BadSetting
from todo_app.workers import run_workers
from todo_domain import user_id

if TYPE_CHECKING:
    from todo_adapters.sql.schema import Moved
    from todo_app.settings import Settings
    from todo_domain import AuditLog

SHUTDOWN_TIMEOUT: Final = 30
"""Seconds that requests in flight get to finish; longer than any request is allowed to take."""


class CannotStart(Exception):
    """What keeps the server from starting, and what to do about it, in one sentence."""


def serve(settings: Settings) -> None:
    """Serve until told to stop. Raises BadSetting, CannotStart or MigrationError before anything is served."""
    configure_logging(settings)
    _find(settings.host, settings.port)
    hint = ""
    if settings.needs_machine_secret:
        settings = replace(settings, jwt_secrets=(tokens.machine_secret(settings),))
        os.environ["TODO_JWT_SECRET"] = settings.jwt_secrets[0]  # for the worker processes
        hint = _try_it(settings)
    with closing(audit_of(settings)) as audit:
        verifier_of(settings, audit)  # what is wrong with it is said here, and not by each worker
        _prepare_database(settings, audit)
    listener = _listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    print(f"todo serves http://{_in_url(settings.host)}:{port} with tasks in {settings.database!r}", flush=True)
    print(hint.replace("PORT", str(port)), end="", flush=True)
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
        raise CannotStart("the server stopped before it served: the line above says why")


def _prepare_database(settings: Settings, audit: AuditLog) -> None:
    database = settings.database
    if database.file is not None:
        try:
            note_migration(audit, migrations.move(database.address))
        except schema.MigrationError as problem:
            raise CannotStart(f"{database.file} cannot be used: {problem}") from None
    elif database.url is not None and (behind := migrations.pending(database.url)):
        raise CannotStart(f"the database lacks {len(behind)} migration(s): run todo migrate first")


def note_migration(audit: AuditLog, moved: Moved) -> str:
    """Record what a migration did, if it did anything, and return the revision that the database is at."""
    if moved.before != moved.after:
        audit.record("migration_applied", before=moved.before, after=moved.after)
    return moved.after


def _find(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise BadSetting(f"TODO_HOST must be an address of this machine, not {host!r}") from None
    return family, address


def _listen(host: str, port: int) -> socket.socket:
    family, address = _find(host, port)
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except PermissionError:
        raise CannotStart(f"port {port} needs more rights than this user has: choose another with --port") from None
    except OSError as problem:
        reason = "is taken" if problem.errno == 98 else f"cannot be used ({problem.strerror})"
        raise CannotStart(
            f"port {port} on {host} {reason}: stop the other program or choose another with --port"
        ) from None
    listener.set_inheritable(True)
    return listener


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _try_it(settings: Settings) -> str:
    token = tokens.sign(settings, user_id("demo"), settings.jwt_max_lifetime)
    where = tokens.secret_file(settings)
    return (
        f"No TODO_JWT_SECRET is set, so tokens are signed with the secret in {where}. Try:\n\n"
        f"curl -i http://{_in_url(settings.host)}:PORT/api/me/tasks -H 'Authorization: Bearer {token}'"
        " -H 'Content-Type: application/json' -d '{\"title\": \"Buy groceries\"}'\n\n"
    )


def tell(problem: Exception) -> int:
    """Print what is wrong in one line, and return the exit status that says so."""
    print(f"todo: {problem}", file=sys.stderr)
    return 1
