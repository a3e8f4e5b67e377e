"""The checks of `todo doctor` that concern the database."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import TYPE_CHECKING

from todo_adapters.sql import migrations
from todo_adapters.sql.schema import BASE, MigrationError, head, missing, place
from todo_app.compose import store_of
from todo_app.wakes import listen_urls

if TYPE_CHECKING:
    from todo_app.settings import Settings

DatabaseCheck = tuple[str, Callable[[], Awaitable[str]]]
"""A name, and a function that returns a finding, or raises an error or Noted."""


class Noted(Exception):
    """A finding that does not keep the service from working, with advice."""


def database_checks(settings: Settings) -> list[DatabaseCheck]:
    """Return the checks in order; each assumes that the earlier ones passed."""
    database = settings.database
    if database.url is not None:
        checks: list[DatabaseCheck] = [("database", lambda: _connection(database.url))]
        if settings.direct_url is not None:
            checks.append(("direct URL", lambda: _connection(settings.direct_url)))
        checks += [("schema", lambda: _schema(database.address)), ("service", lambda: _service(settings))]
        return [
            *checks,
            ("row-level security", lambda: _isolation(database.url)),
            ("notifications", lambda: _notifications(settings)),
        ]
    if database.file is not None and database.file.exists():
        return [("schema", lambda: _schema(database.address)), ("service", lambda: _service(settings))]
    return [("database", lambda: _nothing_yet(settings))]


def file_notes(settings: Settings) -> list[str]:
    """Return a sentence for each file of a SQLite database that users other than its owner may access."""
    file = settings.database.file
    if file is None:
        return []
    modes = {
        path: stat.S_IMODE(path.stat().st_mode)
        for end in ("", "-wal", "-shm")
        if (path := file.with_name(file.name + end)).exists()
    }
    return [
        f"users other than its owner may access {path} (mode {mode:04o}): run chmod 600 {path}"
        for path, mode in modes.items()
        if mode & 0o077
    ]


async def _connection(url: str | None) -> str:
    from todo_adapters.sql.postgres.commands.connecting import connect  # noqa: PLC0415  SQLite needs no PostgreSQL driver

    def ask() -> str:
        with closing(connect(url or "")) as connection:
            return f"PostgreSQL {connection.info.parameter_status('server_version')} answers"

    return await asyncio.to_thread(ask)


async def _schema(address: str) -> str:
    def ask() -> str:
        if (found := migrations.current(address)) == BASE:
            migrations.require_free_names(address)
            raise MigrationError("the database is not migrated yet: run todo migrate")
        if behind := missing(found, head()):
            raise MigrationError(f"{len(behind)} migration(s) are missing: run todo migrate")
        return place(found)

    return await asyncio.to_thread(ask)


async def _service(settings: Settings) -> str:
    store = store_of(settings)
    try:
        await store.open()
        await store.check()
    finally:
        await store.aclose()
    return "a request can be served"


async def _isolation(url: str | None) -> str:
    from todo_adapters.sql.postgres.store import PostgresTasks  # noqa: PLC0415  SQLite needs no PostgreSQL driver

    store = PostgresTasks(url or "", pool_size=3)
    try:
        await store.open()
        await store.prove_isolation()
    finally:
        await store.aclose()
    return "a write to another user's row was refused"


async def _notifications(settings: Settings) -> str:
    from todo_adapters.sql.postgres.store import PostgresTasks  # noqa: PLC0415  SQLite needs no PostgreSQL driver

    store = PostgresTasks(settings.database.url or "", pool_size=3)
    urls = listen_urls(settings)
    try:
        await store.open()
        first = await store.notifications(
            urls, received=_ignore, reconnected=_ignore, counted=_ignore
        ).first_delivering()
    finally:
        await store.aclose()
    if first is None:
        raise Noted(
            "none arrived, so workers find each other's writes by a poll, once a second:"
            " set TODO_DATABASE_DIRECT_URL to a connection string that reaches PostgreSQL without a pooler"
        )
    return f"one arrived on {'TODO_DATABASE_DIRECT_URL' if first < len(urls) - 1 else 'TODO_DATABASE_URL'}"


def _ignore(*_: object) -> None:
    """Ignore a report."""


async def _nothing_yet(settings: Settings) -> str:
    file = settings.database.file
    if file is not None and not os.access(file.parent, os.W_OK | os.X_OK):
        raise MigrationError(f"{file} cannot be made: {file.parent} must be a directory that this user may write to")
    return "memory: needs none" if file is None else f"{file} does not exist yet; the first todo serve makes it"
