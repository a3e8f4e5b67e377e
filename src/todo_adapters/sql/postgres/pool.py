"""Connections to PostgreSQL, a bounded number of them, which no cancelled request can take away."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from todo_adapters.sql.postgres.pipeline import Wire
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


class Lane:
    """A wire, or the right to make one, and how many callers have it: at most `depth`, one on a wire that is pooled."""

    __slots__ = ("_depth", "load", "making", "wire")

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self.wire: Wire | None = None
        self.load = 0
        self.making: asyncio.Task[None] | None = None

    @property
    def open(self) -> Wire | None:
        """The wire, if it can be used at once."""
        wire = self.wire
        return None if wire is None or wire.broken else wire

    @property
    def room(self) -> bool:
        """Whether it can be given to one more."""
        return self.load < (1 if self.wire is None or self.wire.pooled else self._depth)


class Pool:
    """At most `size` wires, each for at most `depth` units at a time. The first to wait is the first to get one.

    Whoever takes a lane has it given back when the unit is over, whether or not anybody still waits for that. Giving
    back awaits nothing, so it cannot be interrupted.
    """

    def __init__(self, info: str, *, size: int, depth: int = 1) -> None:
        self._info = info
        self._lanes = [Lane(depth) for _ in range(size)]
        self.pooled = False
        """Whether a pooler has been met: each wire then takes one unit at a time."""
        self._waiting: deque[asyncio.Future[Lane]] = deque()
        self._closed = False

    def connections(self) -> dict[str, int]:
        """Return how many connections are `busy` and `idle`, their `limit`, and how many callers are `waiting`."""
        busy = sum(lane.load > 0 for lane in self._lanes)
        idle = sum(lane.load == 0 and lane.wire is not None for lane in self._lanes)
        waiting = sum(not waiter.done() for waiter in self._waiting)
        return {"busy": busy, "idle": idle, "limit": len(self._lanes), "waiting": waiting}

    @property
    def crowd(self) -> float:
        """How many callers there are for each lane."""
        return (sum(lane.load for lane in self._lanes) + len(self._waiting)) / len(self._lanes)

    def at_hand(self) -> tuple[Lane, Wire] | None:
        """Return a lane and its wire, if there is one that can be used at once."""
        lane = self._idlest()
        if lane is None or (wire := lane.open) is None:
            return None
        lane.load += 1
        return lane, wire

    async def take(self) -> tuple[Lane, Wire]:
        """Return a lane and its wire, once there is one. How long that may take is up to the caller.

        Raises psycopg.Error if a new wire cannot be made, Unavailable if too many wait already.
        """
        if self._closed:
            raise Unavailable("the service is stopping")
        lane = self._idlest()
        if lane is None:
            lane = await self._turn()
        else:
            lane.load += 1
        try:
            while (wire := lane.open) is None:
                await asyncio.shield(self._made(lane))
        except BaseException:
            self.give(lane)
            raise
        self._share(lane)  # which, now that it has a wire, may have room for more
        return lane, wire

    def give(self, lane: Lane) -> None:
        """Take back what one caller had."""
        lane.load -= 1
        if self._closed and not lane.load and lane.wire is not None:
            lane.wire.close()
        self._share(lane)

    def mistrust(self) -> None:
        """Treat every connection as pooled, those that are there and those to come."""
        self.pooled = True
        for lane in self._lanes:
            if lane.wire is not None:
                lane.wire.pooled = True

    async def aclose(self) -> None:
        """Turn those who wait away, and close each wire once nothing is on the way."""
        self._closed = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(Unavailable("the service is stopping"))
        for lane in self._lanes:
            if lane.making is not None:
                lane.making.cancel()
                await asyncio.gather(lane.making, return_exceptions=True)
            if lane.wire is not None:
                await lane.wire.rest()
                lane.wire.close()

    def _idlest(self) -> Lane | None:
        """Return the lane with the fewest callers, at best an open one; None if it is full, or others wait already."""
        if self._closed or self._waiting:
            return None
        best = self._lanes[0]
        for lane in self._lanes:
            if lane.load < best.load or (lane.load == best.load and best.wire is None):
                best = lane
        return best if best.room else None

    def _share(self, lane: Lane) -> None:
        """Give the lane to those who wait, as far as it has room."""
        while self._waiting and lane.room:
            if not (waiter := self._waiting.popleft()).done():
                lane.load += 1
                waiter.set_result(lane)

    def _made(self, lane: Lane) -> asyncio.Task[None]:
        """Return the task that makes the wire: one for all who want this lane, which none of them can cancel."""
        if self._closed:
            raise Unavailable("the service is stopping")
        if lane.making is None:
            lane.making = asyncio.get_running_loop().create_task(self._make(lane))
            lane.making.add_done_callback(_heed)
        return lane.making

    async def _make(self, lane: Lane) -> None:
        try:
            lane.wire = await Wire.to(self._info)
            self.pooled |= lane.wire.pooled
            lane.wire.pooled = self.pooled
        finally:
            lane.making = None

    async def _turn(self) -> Lane:
        if len(self._waiting) >= _LONGEST_QUEUE:
            raise Unavailable("too many are waiting for the database: try again")
        waiter: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()
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
