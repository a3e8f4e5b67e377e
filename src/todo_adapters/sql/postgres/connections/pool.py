"""A pool with a bounded number of connections to PostgreSQL. A cancelled request loses no connection."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from todo_adapters.sql.postgres.connections.pipeline import PipelineConnection
from todo_domain.errors import Unavailable

_DEFAULTS: Final = {
    "connect_timeout": "2",
    "fallback_application_name": "todo",
    "keepalives_idle": "20",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}

_STOPPING: Final = "the service is stopping: try again"

_LONGEST_QUEUE: Final = 1_000
"""The most callers that may wait for a slot. Another caller is refused at once instead of after seconds."""


def with_defaults(info: str) -> str:
    """Return the connection string with time limits; without them, libpq notices a dead peer only after minutes."""
    return make_conninfo("", **(_DEFAULTS | conninfo_to_dict(info)))


class PoolSlot:
    """A slot for one connection, and how many callers use it: at most `depth`, one if the connection is pooled.

    `groups` is how many of these callers are groups of writes; the groups count it.
    """

    __slots__ = ("_depth", "connecting", "connection", "groups", "load")

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self.connection: PipelineConnection | None = None
        self.load = 0
        self.groups = 0
        self.connecting: asyncio.Task[None] | None = None

    @property
    def open(self) -> PipelineConnection | None:
        """The connection, if it can be used at once."""
        connection = self.connection
        return None if connection is None or connection.broken else connection

    @property
    def has_capacity(self) -> bool:
        """Whether one more caller can use the slot."""
        return self.load < (1 if self.connection is None or self.connection.pooled else self._depth)


class Pool:
    """At most `size` connections, each for at most `depth` callers at a time. Callers are served in their order.

    A slot is released when its request completes, even if the caller was cancelled. Releasing it awaits nothing, so it
    cannot be interrupted.
    """

    def __init__(self, info: str, *, size: int, depth: int = 1) -> None:
        self._info = info
        self._slots = [PoolSlot(depth) for _ in range(size)]
        self.pooled = False
        """Whether a pooler is between the service and PostgreSQL; each connection then takes one request at a time."""
        self.citus = False
        """Whether the database has the extension Citus."""
        self._waiting: deque[asyncio.Future[PoolSlot]] = deque()
        self._closed = False

    def connections(self) -> dict[str, int]:
        """Return how many connections are `busy` and `idle`, their `limit`, and how many callers are `waiting`."""
        busy = sum(slot.load > 0 for slot in self._slots)
        idle = sum(slot.load == 0 and slot.connection is not None for slot in self._slots)
        waiting = sum(not waiter.done() for waiter in self._waiting)
        return {"busy": busy, "idle": idle, "limit": len(self._slots), "waiting": waiting}

    @property
    def groups(self) -> bool:
        """Whether several requests may run as one transaction: not through a pooler, and not on Citus."""
        return not (self.pooled or self.citus)

    @property
    def callers(self) -> int:
        """How many callers have a connection or wait for one."""
        return sum(slot.load for slot in self._slots) + len(self._waiting)

    @property
    def crowd(self) -> float:
        """The number of callers for each slot."""
        return self.callers / len(self._slots)

    def at_hand(self) -> tuple[PoolSlot, PipelineConnection] | None:
        """Return a slot and its connection, if one can be used at once."""
        return _entered(self._idlest())

    def for_group(self, *, connected: bool = False) -> tuple[PoolSlot, PipelineConnection] | None:
        """Return what `at_hand` returns, for a group of writes; None if all slots have other callers than groups.

        A group does not join other callers, of whom one may wait for a lock for long. The slot is the one with the
        fewest groups, even if it has no connection yet; with `connected`, the one with the fewest that has one.
        """
        if self._closed or self._waiting:
            return None
        slots = [
            slot
            for slot in self._slots
            if slot.load == slot.groups and slot.has_capacity and (not connected or slot.open is not None)
        ]
        return _entered(min(slots, key=lambda slot: (slot.load, slot.connection is None), default=None))

    async def take(self) -> tuple[PoolSlot, PipelineConnection]:
        """Wait for a slot, and return it with its connection. The caller must limit the time.

        Raises psycopg.Error if no connection can be made, and Unavailable if too many callers wait already.
        """
        if self._closed:
            raise Unavailable(_STOPPING)
        slot = self._idlest()
        if slot is None:
            slot = await self._next_free_slot()
        else:
            slot.load += 1
        try:
            while (connection := slot.open) is None:
                await asyncio.shield(self._connected(slot))
        except BaseException:
            self.give(slot)
            raise
        self._share(slot)  # a slot with a connection may have capacity for more
        return slot, connection

    def give(self, slot: PoolSlot) -> None:
        """Release a slot for one of its callers."""
        slot.load -= 1
        if self._closed and not slot.load and slot.connection is not None:
            slot.connection.close()
        self._share(slot)

    def mistrust(self) -> None:
        """Treat every connection as pooled, the present ones and the future ones."""
        self.pooled = True
        for slot in self._slots:
            if slot.connection is not None:
                slot.connection.pooled = True

    async def aclose(self) -> None:
        """Refuse the waiting callers, and close each connection once all its requests have ended."""
        self._closed = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(Unavailable(_STOPPING))
        for slot in self._slots:
            if slot.connecting is not None:
                slot.connecting.cancel()
                await asyncio.gather(slot.connecting, return_exceptions=True)
            if slot.connection is not None:
                await slot.connection.rest()
                slot.connection.close()

    def _idlest(self) -> PoolSlot | None:
        """Return the slot with the fewest callers, preferably an open one; None if all are full or callers wait."""
        if self._closed or self._waiting:
            return None
        best = self._slots[0]
        for slot in self._slots:
            if slot.load < best.load or (slot.load == best.load and best.connection is None):
                best = slot
        return best if best.has_capacity else None

    def _share(self, slot: PoolSlot) -> None:
        """Give the slot to waiting callers while it has capacity."""
        while self._waiting and slot.has_capacity:
            if not (waiter := self._waiting.popleft()).done():
                slot.load += 1
                waiter.set_result(slot)

    def _connected(self, slot: PoolSlot) -> asyncio.Task[None]:
        """Return the task that opens the connection; all callers of the slot share it, and none can cancel it."""
        if self._closed:
            raise Unavailable(_STOPPING)
        if slot.connecting is None:
            slot.connecting = asyncio.get_running_loop().create_task(self._connect(slot))
            slot.connecting.add_done_callback(_retrieve_error)
        return slot.connecting

    async def _connect(self, slot: PoolSlot) -> None:
        try:
            slot.connection = await PipelineConnection.to(self._info)
            self.pooled |= slot.connection.pooled
            slot.connection.pooled = self.pooled
            self.citus = slot.connection.citus
        finally:
            slot.connecting = None

    async def _next_free_slot(self) -> PoolSlot:
        if len(self._waiting) >= _LONGEST_QUEUE:
            raise Unavailable("too many are waiting for the database: try again")
        waiter: asyncio.Future[PoolSlot] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:  # it got a slot just before it was cancelled
                self.give(waiter.result())
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            raise


def _entered(slot: PoolSlot | None) -> tuple[PoolSlot, PipelineConnection] | None:
    """Return the slot, with one more caller, and its connection; None if there is no open one."""
    if slot is None or (connection := slot.open) is None:
        return None
    slot.load += 1
    return slot, connection


def _retrieve_error(connecting: asyncio.Task[None]) -> None:
    """Retrieve the error: if every caller has gone, the event loop would log it as never retrieved."""
    if not connecting.cancelled():
        connecting.exception()
