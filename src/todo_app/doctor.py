"""`todo doctor`: whether everything that serving needs works right now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from todo_adapters.audit import AuditLines
from todo_adapters.sql import migrations, schema
from todo_app.compose import store_of
from todo_app.identity import verifier_of
from todo_app.identity_settings import cautions
from todo_app.tokens import secret_file
from todo_domain import TodoError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from todo_app.settings import Settings


def examine(settings: Settings) -> bool:
    """Print each check with what it found, or with its remedy; return whether all passed."""
    return asyncio.run(_examine(settings))


async def _examine(settings: Settings) -> bool:
    print(f"ok    settings: {settings.database!r}")
    passed = [await _check("database", lambda: _database(settings))]
    passed.append(await _check("schema", lambda: _schema(settings)))
    if settings.database.kind == "postgresql":
        passed.append(await _check("row-level security", lambda: _isolation(settings)))
    passed.append(await _check("identity", lambda: _identity(settings)))
    for caution in cautions(settings):
        print(f"note  identity: {caution}")
    return all(passed)


async def _check(name: str, run: Callable[[], Awaitable[str]]) -> bool:
    try:
        print(f"ok    {name}: {await run()}")
    except (TodoError, schema.MigrationError, ValueError) as problem:
        print(f"FAIL  {name}: {problem}")
        return False
    return True


async def _database(settings: Settings) -> str:
    file = settings.database.file
    if file is not None and not file.exists():
        return f"{file} does not exist yet; the first todo serve makes it"
    store = store_of(settings)
    try:
        await store.open()
        await store.check()
    finally:
        await store.aclose()
    return "answers"


async def _schema(settings: Settings) -> str:
    database = settings.database
    if database.kind == "memory" or (database.file is not None and not database.file.exists()):
        return "nothing to migrate"
    behind = await asyncio.to_thread(migrations.pending, database.url or f"sqlite:///{database.file}")
    if behind:
        raise schema.MigrationError(f"{len(behind)} migration(s) are missing: run todo migrate")
    return f"at {schema.head()}"


async def _isolation(settings: Settings) -> str:
    from todo_adapters.sql.postgres.store import PostgresTasks  # noqa: PLC0415  only here is it certain to be needed

    store = PostgresTasks(settings.database.url or "", pool_size=3)
    try:
        await store.open()
        await store.prove_isolation()
    finally:
        await store.aclose()
    return "a write to another user's row was refused"


async def _identity(settings: Settings) -> str:
    if settings.needs_machine_secret:
        return f"no secret is set; todo serve keeps one in {secret_file(settings)}"
    await verifier_of(settings, AuditLines("stderr")).check()
    return "shared secret" if settings.jwt_secrets else "the key set was fetched"
