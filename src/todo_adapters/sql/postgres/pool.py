"""Connections to PostgreSQL, a bounded number of them, which no cancelled request can take away."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from todo_adapters.sql.postgres.pipeline import PipelineConnection
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


def with_defaults(info: str) -> str:
    """Return libpq's connection string with bounds for what would otherwise take minutes to be noticed."""
    return make_conninfo("", **(_DEFAULTS | conninfo_to_dict(info)))


class PoolSlot:
    """A wire, or the right to make one, and how many callers have it: at most `depth`, one on a wire that is pooled."""

    __slots__ = ("_depth", "load", "making", "wire")

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self.wire: PipelineConnection | None = None
        self.load = 0
        self.making: asyncio.Task[None] | None = None

    @property
    def open(self) -> PipelineConnection | None:
        """The wire, if it can be used at once."""
        wire = self.wire
        return None if wire is None or wire.broken else wire

    @property
    def room(self) -> bool:
        """Whether it can be given to one more."""
        return self.load < (1 if self.wire is None or self.wire.pooled else self._depth)


class Pool:
    """At most `size` wires, each for at most `depth` units at a time. The first to wait is the first to get one.

    A slot is released when its unit completes, even if the caller was cancelled. Releasing it awaits nothing, so it
    cannot be interrupted.
    """

    def __init__(self, info: str, *, size: int, depth: int = 1) -> None:
        self._info = info
        self._slots = [PoolSlot(depth) for _ in range(size)]
        self.pooled = False
        """Whether a pooler has been met: each wire then takes one unit at a time."""
        self._waiting: deque[asyncio.Future[PoolSlot]] = deque()
        self._closed = False

    def connections(self) -> dict[str, int]:
        """Return how many connections are `busy` and `idle`, their `limit`, and how many callers are `waiting`."""
        busy = sum(slot.load > 0 for slot in self._slots)
        idle = sum(slot.load == 0 and slot.wire is not None for slot in self._slots)
        waiting = sum(not waiter.done() for waiter in self._waiting)
        return {"busy": busy, "idle": idle, "limit": len(self._slots), "waiting": waiting}

    @property
    def crowd(self) -> float:
        """How many callers there are for each slot."""
        return (sum(slot.load for slot in self._slots) + len(self._waiting)) / len(self._slots)

    def at_hand(self) -> tuple[PoolSlot, PipelineConnection] | None:
        """Return a slot and its wire, if there is one that can be used at once."""
        slot = self._idlest()
        if slot is None or (wire := slot.open) is None:
            return None
        slot.load += 1
        return slot, wire

    async def take(self) -> tuple[PoolSlot, PipelineConnection]:
        """Return a slot and its wire, once there is one. How long that may take is up to the caller.

        Raises psycopg.Error if a new wire cannot be made, Unavailable if too many wait already.
        """
        if self._closed:
            raise Unavailable("the service is stopping")
        slot = self._idlest()
        if slot is None:
            slot = await self._turn()
        else:
            slot.load += 1
        try:
            while (wire := slot.open) is None:
                await asyncio.shield(self._made(slot))
        except BaseException:
            self.give(slot)
            raise
        self._share(slot)  # which, now that it has a wire, may have room for more
        return slot, wire

    def give(self, slot: PoolSlot) -> None:
        """Take back what one caller had."""
        slot.load -= 1
        if self._closed and not slot.load and slot.wire is not None:
            slot.wire.close()
        self._share(slot)

    def mistrust(self) -> None:
        """Treat every connection as pooled, those that are there and those to come."""
        self.pooled = True
        for slot in self._slots:
            if slot.wire is not None:
                slot.wire.pooled = True

    async def aclose(self) -> None:
        """Turn those who wait away, and close each wire once nothing is on the way."""
        self._closed = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(Unavailable("the service is stopping"))
        for slot in self._slots:
            if slot.making is not None:
                slot.making.cancel()
                await asyncio.gather(slot.making, return_exceptions=True)
            if slot.wire is not None:
                await slot.wire.rest()
                slot.wire.close()

    def _idlest(self) -> PoolSlot | None:
        """Return the slot with the fewest callers, at best an open one; None if it is full, or others wait already."""
        if self._closed or self._waiting:
            return None
        best = self._slots[0]
        for slot in self._slots:
            if slot.load < best.load or (slot.load == best.load and best.wire is None):
                best = slot
        return best if best.room else None

    def _share(self, slot: PoolSlot) -> None:
        """Give the slot to those who wait, as far as it has room."""
        while self._waiting and slot.room:
            if not (waiter := self._waiting.popleft()).done():
                slot.load += 1
                waiter.set_result(slot)

    def _made(self, slot: PoolSlot) -> asyncio.Task[None]:
        """Return the task that makes the wire: one for all who want this slot, which none of them can cancel."""
        if self._closed:
            raise Unavailable("the service is stopping")
        if slot.making is None:
            slot.making = asyncio.get_running_loop().create_task(self._make(slot))
            slot.making.add_done_callback(_heed)
        return slot.making

    async def _make(self, slot: PoolSlot) -> None:
        try:
            slot.wire = await PipelineConnection.to(self._info)
            self.pooled |= slot.wire.pooled
            slot.wire.pooled = self.pooled
        finally:
            slot.making = None

    async def _turn(self) -> PoolSlot:
        if len(self._waiting) >= _LONGEST_QUEUE:
            raise Unavailable("too many are waiting for the database: try again")
        waiter: asyncio.Future[PoolSlot] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:  # given one in the moment of being cancelled
                self.give(waiter.result())
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            raise


def _heed(making: asyncio.Task[None]) -> None:
    """Take note of how it ended, though whoever wanted it may have gone: else the event loop complains in the log."""
    if not making.cancelled():
        making.exception()
