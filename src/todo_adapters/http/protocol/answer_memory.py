"""A limit on the memory of long answers in one process. An answer without room waits until its deadline."""

from __future__ import annotations

import asyncio
import ctypes
from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Final

from todo_domain import Deadline, NoRoom, UserId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar.types import ASGIApp, Receive, Scope, Send

DEFAULT_MOST: Final = 64 * 1024 * 1024
"""Bytes that the answers of a process may hold, beside one answer of any size."""

UNCOUNTED: Final = 64 * 1024
"""Bytes up to which an answer is not counted, because the server's buffer for a connection holds as much anyway."""

SHARE: Final = 4
"""A second answer for the same user has room only if all answers of that user hold at most 1/SHARE of the limit."""

LARGE: Final = 16 * 1024 * 1024
"""Bytes of an answer after which free memory is returned to the operating system."""

TIMEOUT: Final = 1.0
"""Seconds that an answer waits for room."""


class AnswerMemory:
    """The answers of one process: together they hold at most `most` bytes, beside one of any size.

    An answer that finds no room is dropped while it is being read, waits, and is read again.
    """

    def __init__(self, most: int = DEFAULT_MOST) -> None:
        self._most = most
        self._held = 0
        self._held_of: Counter[UserId] = Counter()
        self._largest: AnswerRoom | None = None
        self._lock = Lock()  # stores may count in threads
        self._waiting: dict[asyncio.Future[None], int] = {}

    @property
    def held(self) -> int:
        """The bytes that answers hold now."""
        return self._held + (self._largest.size if self._largest is not None else 0)

    async def answer(
        self, owner: UserId, make: Callable[[AnswerRoom], Awaitable[ASGIApp]], deadline: Deadline | None
    ) -> ASGIApp:
        """Return the answer that `make` returns for a room; the answer keeps the room until it is sent.

        If `make` finds no room, it is called again when there may be some. Raises NoRoom at the deadline; without a
        deadline, TIMEOUT seconds after `make` first found no room.
        """
        room = AnswerRoom(self, owner)
        try:
            while True:
                try:
                    return _Counted(await make(room), room)
                except NoRoom:
                    room.empty()
                deadline = deadline or Deadline.within(TIMEOUT)
                await self._wait(room.wanted, deadline)
        except BaseException:
            room.close()
            raise

    def resize(self, room: AnswerRoom, size: int) -> None:
        """Set the size of the room to `size` bytes, or raise NoRoom."""
        counted = size if size > UNCOUNTED else 0
        with self._lock:
            if room.closed:
                raise NoRoom
            if room is not self._largest:
                if self._fits(room, counted):
                    self._count(room, counted)
                elif self._largest is None:
                    self._largest = room
                    self._count(room, 0)
                else:
                    room.wanted = size
                    raise NoRoom
            room.size = size

    def shrink(self, room: AnswerRoom, size: int) -> None:
        """Reduce the room to `size` bytes, and wake answers that wait for room."""
        if size < room.size:
            self.resize(room, size)
            if self._waiting:
                self._wake()

    def empty(self, room: AnswerRoom) -> None:
        """Release the room's bytes, and wake answers that wait for room."""
        with self._lock:
            self._count(room, 0)
            large, room.size = room.size > LARGE, 0
            if room is self._largest:
                self._largest = None
        if self._waiting:
            self._wake()
        if large:
            asyncio.get_running_loop().run_in_executor(None, _trim)

    def _fits(self, room: AnswerRoom, counted: int) -> bool:
        if counted <= room.counted:
            return True
        others = self._held_of[room.owner] - room.counted
        share = self._most if not others else self._most // SHARE
        return self._held - room.counted + counted <= self._most and others + counted <= share

    def _count(self, room: AnswerRoom, counted: int) -> None:
        more = counted - room.counted
        if more:
            room.counted = counted
            self._held += more
            self._held_of[room.owner] += more
            if not self._held_of[room.owner]:
                del self._held_of[room.owner]

    async def _wait(self, wanted: int, deadline: Deadline) -> None:
        """Return when there may be room for `wanted` bytes; raise NoRoom at the deadline."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = wanted
        try:
            async with asyncio.timeout_at(deadline.at):
                await waiter
        except TimeoutError:
            raise NoRoom from None
        finally:
            self._waiting.pop(waiter, None)

    def _wake(self) -> None:
        """Wake, in order, the waiting answers that fit now, and one more if the place of any size is free."""
        left, any_size = self._most - self._held, self._largest is None
        for waiter, wanted in list(self._waiting.items()):
            if wanted <= left:
                left -= wanted
            elif any_size:
                any_size = False
            else:
                continue
            del self._waiting[waiter]
            if not waiter.done():
                waiter.set_result(None)


class AnswerRoom:
    """The memory of one answer to this user while it is read and sent."""

    __slots__ = ("_all", "closed", "counted", "owner", "size", "wanted")

    def __init__(self, answers: AnswerMemory, owner: UserId) -> None:
        self._all = answers
        self.owner = owner
        self.size = 0
        self.counted = 0
        self.wanted = 0
        self.closed = False

    def take(self, size: int) -> None:
        """Count `size` bytes more, or raise NoRoom."""
        self._all.resize(self, self.size + size)

    def shrink(self, size: int) -> None:
        """Release all but `size` bytes."""
        self._all.shrink(self, size)

    def empty(self) -> None:
        """Give back what was counted."""
        if self.size:
            self._all.empty(self)

    def close(self) -> None:
        """Release all bytes for good. A store that is still reading for this answer gets NoRoom."""
        self.closed = True
        self.empty()


class _Counted:
    """An answer whose room is released when it is sent, or when sending fails."""

    __slots__ = ("_answer", "_room")

    def __init__(self, answer: ASGIApp, room: AnswerRoom) -> None:
        self._answer = answer
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            await self._answer(scope, receive, send)
        finally:
            self._room.close()


def _trim() -> None:
    """Return free memory to the operating system; glibc would keep it for the thread that allocated it."""
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
