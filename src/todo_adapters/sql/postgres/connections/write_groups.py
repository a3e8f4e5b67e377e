"""Short writes of several users that run as one transaction: they share its commit, and with it the wait for the disk.

The writes that come while a group is on its way form the next one. Each has its own context, and so its own row-level
security, and takes the lock of its user. Groups take these locks in the order of the users, so that no two groups wait
for each other. If a write fails, its whole group is rolled back: the failed write runs alone and gets its own outcome;
the others join another group.

If the database is near, two groups may be in flight, on different connections: while one waits for the disk, the other
runs. The second leaves when as many writes wait as are in the first, or half as many as a group may have: smaller
groups cost more for each write, and a third would make them smaller. If the database is far away, several are, so that
a write does not wait for the whole way of the group before it. Groups in flight have no user in common, so that none
waits for a lock of another.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import psycopg
from psycopg.pq.abc import PGresult

from todo_adapters.sql.postgres.connections.grouped_write import GroupedWrite, PresentWrites
from todo_adapters.sql.postgres.connections.in_flight import InFlight, NotRunError, milliseconds_left, require_success
from todo_adapters.sql.postgres.connections.pipeline import PipelineConnection
from todo_adapters.sql.postgres.connections.pool import Pool, PoolSlot
from todo_adapters.sql.postgres.errors import why_out_of_reach
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.rows import Values
from todo_domain.deadline import RESPOND_WITHIN
from todo_domain.errors import Unavailable

_MOST: Final = 16
"""Writes in a group. If its connection breaks, the outcome of all of them is unknown."""

_MOST_IN_FLIGHT: Final = 8
"""Groups in flight, if the database is far away."""

_APART: Final = 0.004
"""Seconds between two groups that are in flight together, or more: the distance of the database, which is the time of
its fastest round trip, divided by _MOST_IN_FLIGHT. A database whose distance is no more than this is near: there the
second group leaves sooner if enough writes wait."""

_MOST_NEAR: Final = 2
"""Groups in flight, if the database is near."""

_LOCK_TIMEOUT: Final = 50
"""Milliseconds that a group waits for a lock, and so the longest that one held lock delays other users' writes."""

_TRIES: Final = 2
"""Groups that may fail through other writes before a write runs alone."""

_TIME_TO_CONNECT: Final = RESPOND_WITHIN / 2
"""Seconds: a write that has less time left does not wait for a new connection if there is one with another group."""

_MOST_PRESENT: Final = 1_000
"""Writes that may wait for their group or be on their way. The next one is refused at once, not after seconds."""


class _Group(NamedTuple):
    """Writes in flight, in the order of their users; `left` is when they were sent, a time of the event loop."""

    writes: list[GroupedWrite]
    connection: PipelineConnection
    left: float


class WriteGroups:
    """Forms the groups and sends each on a connection of the pool, if the pool allows groups."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._present = PresentWrites()
        self._waiting: deque[GroupedWrite] = deque()
        self._in_flight: list[_Group] = []
        """The groups in the order in which they left."""
        self._alone: dict[str, GroupedWrite] = {}
        """By user, the write that made its group fail. It runs alone."""
        self._held: dict[str, list[GroupedWrite]] = {}
        """By user of whom a write is in flight or runs alone, the writes that wait for it: they may need its lock."""
        self._soon: asyncio.Handle | None = None
        """Looks at the end of this turn of the event loop whether the next group may leave."""
        self._due: asyncio.TimerHandle | None = None
        """Looks again when the next group may leave although few writes wait."""
        self._taking: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many callers wait for their group to be sent."""
        held = (write for writes in self._held.values() for write in writes)
        return sum(not write.outcome.done() for write in (*self._waiting, *held))

    def enter(self, transaction: Transaction, values: Values, give_up: float) -> GroupedWrite:
        """Queue a write for the next group; if none is in flight, it leaves at the end of this turn of the event loop.

        `give_up` is when the caller stops waiting. The caller must call `leave`. Raises Unavailable if too many wait.
        """
        if len(self._present) >= _MOST_PRESENT:
            raise Unavailable("too many are waiting for the database: try again")
        write = GroupedWrite(transaction, values, give_up)
        self._present.add(write)
        self._waiting.append(write)
        if self._due is None or self._enough_wait():
            self._wake()
        return write

    def leave(self, write: GroupedWrite) -> None:
        """End a write, whatever became of it."""
        self._present.remove(write)
        if self._alone.get(write.owner) is write:
            del self._alone[write.owner]
            self._release([write])
            self._wake()

    def _wake(self) -> None:
        if self._waiting and self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._go)

    def _enough_wait(self) -> bool:
        """Return whether as many writes wait as are in the last group in flight, or half as many as may be."""
        return bool(self._in_flight) and len(self._waiting) >= min(len(self._in_flight[-1].writes), _MOST // 2)

    def _go(self) -> None:
        """Send the next group if it may leave now; otherwise come back when it may."""
        for handle in (self._soon, self._due):
            if handle is not None:
                handle.cancel()
        self._soon = self._due = None
        while self._waiting and (held := self._held.get(self._waiting[0].owner)) is not None:
            held.append(self._waiting.popleft())  # or a connection might be made for nothing
        if not self._waiting or len(self._in_flight) >= _MOST_IN_FLIGHT:
            return
        now = asyncio.get_running_loop().time()
        if (due := self._next_may_leave()) > now:
            if due < math.inf:
                self._due = asyncio.get_running_loop().call_at(due, self._go)
        elif (found := self._pool.for_group()) is not None:
            self._send(*found)
        else:
            if self._taking is None:
                self._taking = asyncio.get_running_loop().create_task(self._take())
            # A connection takes several round trips: a write without the time for that goes behind another group.
            urgent = self._waiting[0].give_up < now + _TIME_TO_CONNECT
            if urgent and (found := self._pool.for_group(connected=True)) is not None:
                self._send(*found)

    def _next_may_leave(self) -> float:
        """Return from when on the next group may leave; infinity if the groups in flight must have ended."""
        if not self._in_flight:
            return -math.inf
        last = self._in_flight[-1]
        distance = last.connection.distance
        if distance > _APART:
            return last.left + max(_APART, distance / _MOST_IN_FLIGHT)
        if len(self._in_flight) >= _MOST_NEAR:
            return math.inf
        return last.left if self._enough_wait() else last.left + _APART

    async def _take(self) -> None:
        try:
            slot, connection = await self._pool.take()
        except (psycopg.Error, Unavailable) as error:
            self._taking = None
            if self._in_flight:  # their connections can be used again
                return
            sentence = str(error) if isinstance(error, Unavailable) else why_out_of_reach(error)
            while self._waiting:
                self._waiting.popleft().fail(Unavailable(sentence))
        else:
            self._taking = None
            if self._next_may_leave() <= asyncio.get_running_loop().time():
                self._send(slot, connection)
            else:
                self._pool.give(slot)
                self._go()

    def _send(self, slot: PoolSlot, connection: PipelineConnection) -> None:
        writes = sorted(self._next(), key=lambda write: write.owner)
        slot.groups += 1
        give = partial(self._give, slot)
        sent = _sent(writes, connection, give) if writes and self._pool.groups else None
        if sent is None:
            give()
            for write in writes:
                write.fail(NotRunError("the group was not sent"))
        else:
            group = _Group(writes, connection, asyncio.get_running_loop().time())
            self._in_flight.append(group)
            for write in writes:
                write.group = sent
                self._held.setdefault(write.owner, [])
            sent.outcome.add_done_callback(partial(self._ended, group))
        self._wake()

    def _give(self, slot: PoolSlot) -> None:
        slot.groups -= 1
        self._pool.give(slot)

    def _next(self) -> list[GroupedWrite]:
        """Return the writes of the next group, the longest waiting first; all that wait if there are no groups."""
        group: list[GroupedWrite] = []
        most = _MOST if self._pool.groups else math.inf
        while self._waiting and len(group) < most:
            write = self._waiting.popleft()
            if write.outcome.done():
                continue
            if (held := self._held.get(write.owner)) is not None:
                held.append(write)
                continue
            try:
                milliseconds_left(write.give_up)
            except Unavailable as late:
                write.fail(late)
            else:
                group.append(write)
        return group

    def _release(self, writes: list[GroupedWrite]) -> None:
        """Put the writes that were held for these users at the head of the queue."""
        for write in writes:
            self._waiting.extendleft(reversed(self._held.pop(write.owner, [])))

    def _ended(self, group: _Group, outcome: asyncio.Future[list[PGresult]]) -> None:
        self._in_flight.remove(group)
        self._release(group.writes)
        if (lost := outcome.exception()) is not None:
            for write in group.writes:
                write.fail(psycopg.OperationalError(str(lost)))
        else:
            took = asyncio.get_running_loop().time() - group.left
            group.connection.distance = min(took, group.connection.distance)
            self._report(group, outcome.result())
        self._go()

    def _report(self, group: _Group, results: list[PGresult]) -> None:
        begin = 0
        parts = []
        for write in group.writes:
            end = begin + len(write.transaction.statements)
            parts.append(results[begin:end])
            begin = end
        for write, part in zip(group.writes, parts, strict=True):
            try:
                require_success(part)
            except psycopg.Error as failure:
                if isinstance(failure, psycopg.errors.FeatureNotSupported):
                    group.connection.forget()
                self._break_up(group.writes, write)
                return
        for write, part in zip(group.writes, parts, strict=True):
            if not write.outcome.done():
                try:
                    write.outcome.set_result(group.connection.rows(part))
                except Exception as unreadable:  # noqa: BLE001  the other results are still to be read
                    write.fail(unreadable)

    def _break_up(self, group: list[GroupedWrite], failed: GroupedWrite) -> None:
        """Run the failed write alone, regroup the others (alone after _TRIES): nothing of this group happened."""
        again = []
        for write in group:
            write.group = None
            write.tries += write is not failed
            if write is failed and not write.outcome.done():
                self._alone[write.owner] = write
                self._held[write.owner] = []
            if write is failed or write.tries == _TRIES:
                write.fail(NotRunError("a write of its group failed"))
            else:
                again.append(write)
        self._waiting.extendleft(reversed(again))


def _sent(group: list[GroupedWrite], connection: PipelineConnection, release: Callable[[], None]) -> InFlight | None:
    """Send the group, or return None if it cannot be sent. `release` is called when it has ended."""
    try:
        timeout = milliseconds_left(min(write.give_up for write in group)) // 2  # the rest is for a second try
        for write in group:
            write.values |= {"timeout": str(timeout), "lock_timeout": str(min(timeout, _LOCK_TIMEOUT))}
        return connection.send_group([(write.transaction, write.values) for write in group], done=release)
    except Exception:  # noqa: BLE001  each write finds out alone
        return None
