"""Waits for a thing to be so, or for a call to be refused, and never for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from todo_domain import Unavailable


async def until(holds: Callable[[], object], *, seconds: float = 30) -> None:
    """Return once `holds()` is true, however busy the machine is; TimeoutError if it never is."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  what is waited for happens in a server or a thread
            await asyncio.sleep(0.005)


async def until_locked_out(administrator: psycopg.Connection[Any], sessions: int = 1) -> None:
    """Return once so many sessions of this database wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    await until(lambda: administrator.execute(query).fetchone() >= (sessions,))


async def refusal(doing: Awaitable[object]) -> tuple[Unavailable, float]:
    """The Unavailable that this raises, and the seconds it took."""
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await doing
    return caught.value, time.monotonic() - began
