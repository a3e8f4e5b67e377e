"""`todo erase`: `DELETE /api/{user_id}` for an operator."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Final

from todo_adapters.sql.schema import SqlError
from todo_app.compose import audit_of, store_of
from todo_domain import Deadline, TaskService, TodoError

if TYPE_CHECKING:
    from todo_app.settings import Settings
    from todo_domain import UserId

_WITHIN: Final = 60.0
"""Seconds; there is no HTTP request whose deadline applies."""


class CannotErase(SqlError):
    """The data of the user was not erased; `str()` is one sentence that says why."""


def erase(settings: Settings, user: UserId) -> None:
    """Erase all data of a user except the user id and the counter, and record that. The service may run meanwhile.

    Raises CannotErase if the user never wrote, or if the database fails; and SqlError if another session of PostgreSQL
    has locked a table.
    """
    if settings.database.kind == "memory":
        raise CannotErase("memory: has no data outside the running service: use DELETE /api/{user_id}")
    if settings.database.url is not None:
        from todo_adapters.sql.postgres.commands.erasing import require_unlocked  # noqa: PLC0415  SQLite needs no PostgreSQL driver

        require_unlocked(settings.database.url)
    try:
        asyncio.run(_erase(settings, user))
    except TodoError as problem:
        raise CannotErase(str(problem)) from None
    with closing(audit_of(settings)) as audit:
        audit.record("user_erased", subject=user)


async def _erase(settings: Settings, user: UserId) -> None:
    store = store_of(settings)
    tasks, deadline = TaskService(store), Deadline.within(_WITHIN)
    try:
        await store.open()
        known = await tasks.counter(user, deadline=deadline) or await tasks.end_feed(user, deadline=deadline)
        if not known:
            raise CannotErase(f"{user!r} has never written to this database: check the spelling of the user id")
        await tasks.erase(user, deadline=deadline)
    finally:
        await store.aclose()
