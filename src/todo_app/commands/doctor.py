"""`todo doctor`: checks that everything that serving needs works."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from todo_adapters.sql.schema import SqlError
from todo_app.commands.database_checks import Noted, database_checks, file_notes
from todo_app.commands.key_checks import check_identity
from todo_app.settings import misspelt_settings
from todo_domain import TodoError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from todo_app.settings import Settings


def examine(settings: Settings) -> bool:
    """Print each check with its finding or its remedy; return whether all passed."""
    return asyncio.run(_examine(settings))


async def _examine(settings: Settings) -> bool:
    print(f"ok    settings: {settings.database!r}")
    for note in misspelt_settings():
        print(f"note  settings: {note}")
    well = await _database(settings)
    for note in file_notes(settings):
        print(f"note  database: {note}")
    return await check_identity(settings) and well


async def _database(settings: Settings) -> bool:
    """Check the database up to the first failure, which would make the later checks fail, too."""
    for name, run in database_checks(settings):
        if not await _check(name, run):
            return False
    return True


async def _check(name: str, run: Callable[[], Awaitable[str]]) -> bool:
    try:
        print(f"ok    {name}: {await run()}")
    except Noted as finding:
        print(f"note  {name}: {finding}")
    except (TodoError, SqlError, ValueError) as problem:
        print(f"FAIL  {name}: {problem}")
        return False
    return True
