"""Connections to PostgreSQL, a bounded number of them, which no cancelled request can take away."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from todo_adapters.sql.wire import Wire
from todo_domain.errors import Unavailable

_DEFAULTS: Final = {
    "connect_timeout": "2",
    "fallback_application_name": "todo",
    "keepalives_idle": "20",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}

_LONGEST_QUEUE: Final = 1_000
"""Callers who may wait for a turn; whoever comes then is told so at once rather than after seconds."""

_MOST_SHARING: Final = 1_000
"""Units on the shared wire; at about 50 µs each, whoever comes then would wait too long."""


def with_defaults(info: str) -> str:
    """Return libpq's connection string with bounds for what would otherwise take minutes to be noticed."""
    return make_conninfo("", **(_DEFAULTS | conninfo_to_dict(info)))


class Shared:
    """One wire for everybody who asks for little: their units follow each other on it."""

    def __init__(self, info: str) -> None:
        self._info = info
        self._wire: Wire | None = None
        self._making: asyncio.Task[Wire] | None = None
        self._closed = False

    def at_hand(self) -> Wire | None:
        """Return the wire if it can be used at once."""
        wire = self._wire
        if wire is None or self._closed or wire.broken:
            return None
        if wire.load >= _MOST_SHARING:
            raise Unavailable("too many are waiting for the database: try again")
        return wire

    async def take(self) -> Wire:
        """Return the wire; make it first, once for everybody who waits, if there is none. Raises psycopg.Error."""
        wire = self.at_hand()
        return await asyncio.shield(self._made()) if wire is None else wire

    async def aclose(self) -> None:
        """Close the wire, once nothing is on the way."""
        self._closed = True
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)
        if self._wire is not None:
            await self._wire.rest()
            self._wire.close()

    def _made(self) -> asyncio.Task[Wire]:
        if self._closed:
            raise Unavailable("the service is stopping")
        if self._making is None:
            self._making = asyncio.get_running_loop().create_task(Wire.to(self._info))
            self._making.add_done_callback(self._keep)
        return self._making

    def _keep(self, making: asyncio.Task[Wire]) -> None:
        self._making = None
        if not making.cancelled() and making.exception() is None:
            self._wire = making.result()


class Pool:
    """At most `size` wires, each for one unit at a time. The first to wait is the first to get one.

    Whoever takes a wire has it given back when the unit is over, whether or not anybody still waits for that. Giving
    back awaits nothing, so it cannot be interrupted.
    """

    def __init__(self, info: str, *, size: int) -> None:
        self._info = info
        # Taken from the right, so the warmest comes first. None is the right to make a wire.
        self._free: deque[Wire | None] = deque([None] * size)
        self._waiting: deque[asyncio.Future[Wire | None]] = deque()
        self._size = size
        self._closed = False

    def connections(self) -> dict[str, int]:
        """Return how many connections are `busy` and `idle`, their `limit`, and how many callers are `waiting`."""
        idle = sum(wire is not None for wire in self._free)
        waiting = sum(not waiter.done() for waiter in self._waiting)
        return {"busy": self._size - len(self._free), "idle": idle, "limit": self._size, "waiting": waiting}

    def at_hand(self) -> Wire | None:
        """Return a wire that nobody else has, if there is one that can be used at once."""
        if not self._closed and self._free and (wire := self._free[-1]) is not None and not wire.broken:
            return self._free.pop()
        return None

    async def take(self) -> Wire:
        """Return a wire that nobody else has, once there is one. How long that may take is up to the caller.

        Raises psycopg.Error if a new one cannot be made, Unavailable if too many wait already.
        """
        if self._closed:
            raise Unavailable("the service is stopping")
        wire = self._free.pop() if self._free else await self._turn()
        if wire is not None and not wire.broken:
            return wire
        try:
            return await Wire.to(self._info)
        except BaseException:
            self.give(None)
            raise

    def give(self, wire: Wire | None) -> None:
        """Take a wire back, or the right to make one."""
        if wire is not None and (self._closed or wire.broken):
            wire.close()
            wire = None
        while self._waiting:
            if not (waiter := self._waiting.popleft()).done():
                waiter.set_result(wire)
                return
        if wire is None:
            self._free.appendleft(None)
        else:
            self._free.append(wire)

    async def aclose(self) -> None:
        """Close every wire that is not in use; the others close when they are given back."""
        self._closed = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(Unavailable("the service is stopping"))
        while self._free:
            if (wire := self._free.pop()) is not None:
                wire.close()

    async def _turn(self) -> Wire | None:
        if len(self._waiting) >= _LONGEST_QUEUE:
            raise Unavailable("too many are waiting for the database: try again")
        waiter: asyncio.Future[Wire | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # given one in the very moment of being cancelled
                self.give(waiter.result())
            raise
