"""`todo doctor`: whether everything that serving needs works right now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from todo_adapters.audit import AuditLines
from todo_adapters.sql.schema import SqlError
from todo_app.database_checks import database_checks, file_notes
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
    well = await _database(settings)
    well &= await _check("identity", lambda: _identity(settings))
    for name, notes in (("database", file_notes(settings)), ("identity", cautions(settings))):
        for note in notes:
            print(f"note  {name}: {note}")
    return well


async def _database(settings: Settings) -> bool:
    """Check the database up to the first thing that is wrong: what follows would only repeat it in other words."""
    for name, run in database_checks(settings):
        if not await _check(name, run):
            return False
    return True


async def _check(name: str, run: Callable[[], Awaitable[str]]) -> bool:
    try:
        print(f"ok    {name}: {await run()}")
    except (TodoError, SqlError, ValueError) as problem:
        print(f"FAIL  {name}: {problem}")
        return False
    return True


async def _identity(settings: Settings) -> str:
    if settings.needs_machine_secret:
        return f"no secret is set; todo serve keeps one in {secret_file(settings)}"
    await verifier_of(settings, AuditLines("stderr")).check()
    return "shared secret" if settings.jwt_secrets else "the key set was fetched"
