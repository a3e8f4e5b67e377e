"""A limit on the memory of long responses in one process. A response beyond it waits, at most until its deadline."""

from __future__ import annotations

import asyncio
import ctypes
from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Final

from todo_adapters.http.protocol.response import EndedResponse
from todo_domain import BudgetExceeded, Deadline, UserId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar.types import ASGIApp

DEFAULT_MOST: Final = 64 * 1024 * 1024
"""Bytes that the responses of a process may hold, beside one response of any size."""

UNCOUNTED: Final = 64 * 1024
"""Bytes up to which a response is not counted, because the server's buffer for a connection holds as much anyway."""

SHARE: Final = 4
"""A second response for the same user is made only if all responses of that user hold at most 1/SHARE of the limit."""

LARGE: Final = 16 * 1024 * 1024
"""Bytes of a response after which free memory is returned to the operating system."""

TIMEOUT: Final = 1.0
"""Seconds that a response waits for memory, without a deadline."""


class ResponseMemory:
    """The responses of one process: together they hold at most `most` bytes, beside one of any size.

    A response that exceeds the limit while its rows are read is dropped; it waits, and its rows are read again.
    """

    def __init__(self, most: int = DEFAULT_MOST) -> None:
        self._most = most
        self._held = 0
        self._held_of: Counter[UserId] = Counter()
        self._largest: ResponseBudget | None = None
        self._lock = Lock()  # stores may count in threads
        self._waiting: dict[asyncio.Future[None], int] = {}

    @property
    def held(self) -> int:
        """The bytes that responses hold now."""
        return self._held + (self._largest.size if self._largest is not None else 0)

    async def respond(
        self, owner: UserId, make: Callable[[ResponseBudget], Awaitable[ASGIApp]], deadline: Deadline | None
    ) -> ASGIApp:
        """Return the response that `make` returns; the budget that `make` gets is released when it is sent.

        If `make` raises BudgetExceeded, it is called again when enough memory may be free. Raises BudgetExceeded at the
        deadline; without a deadline, TIMEOUT seconds after `make` first raised it.
        """
        budget = ResponseBudget(self, owner)
        try:
            while True:
                try:
                    return EndedResponse(await make(budget), budget.close)
                except BudgetExceeded:
                    budget.empty()
                deadline = deadline or Deadline.within(TIMEOUT)
                await self._wait(budget.wanted, deadline)
        except BaseException:
            budget.close()
            raise

    def resize(self, budget: ResponseBudget, size: int) -> None:
        """Set the budget's size to `size` bytes, or raise BudgetExceeded."""
        counted = size if size > UNCOUNTED else 0
        with self._lock:
            if budget.closed:
                raise BudgetExceeded
            if budget is not self._largest:
                if self._fits(budget, counted):
                    self._count(budget, counted)
                elif self._largest is None:
                    self._largest = budget
                    self._count(budget, 0)
                else:
                    budget.wanted = size
                    raise BudgetExceeded
            budget.size = size

    def shrink(self, budget: ResponseBudget, size: int) -> None:
        """Reduce the budget's size to `size` bytes, and wake waiting responses."""
        if size < budget.size:
            self.resize(budget, size)
            if self._waiting:
                self._wake()

    def empty(self, budget: ResponseBudget) -> None:
        """Release the budget's bytes, and wake waiting responses."""
        with self._lock:
            self._count(budget, 0)
            large, budget.size = budget.size > LARGE, 0
            if budget is self._largest:
                self._largest = None
        if self._waiting:
            self._wake()
        if large:
            asyncio.get_running_loop().run_in_executor(None, _trim)

    def _fits(self, budget: ResponseBudget, counted: int) -> bool:
        if counted <= budget.counted:
            return True
        others = self._held_of[budget.owner] - budget.counted
        share = self._most if not others else self._most // SHARE
        return self._held - budget.counted + counted <= self._most and others + counted <= share

    def _count(self, budget: ResponseBudget, counted: int) -> None:
        more = counted - budget.counted
        if more:
            budget.counted = counted
            self._held += more
            self._held_of[budget.owner] += more
            if not self._held_of[budget.owner]:
                del self._held_of[budget.owner]

    async def _wait(self, wanted: int, deadline: Deadline) -> None:
        """Return when `wanted` bytes may be free; raise BudgetExceeded at the deadline."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = wanted
        try:
            async with asyncio.timeout_at(deadline.at):
                await waiter
        except TimeoutError:
            raise BudgetExceeded from None
        finally:
            self._waiting.pop(waiter, None)

    def _wake(self) -> None:
        """Wake, in order, the waiting responses that fit now, and one of any size if there is none now."""
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


class ResponseBudget:
    """The memory of one response to this user while it is read and sent."""

    __slots__ = ("_all", "closed", "counted", "owner", "size", "wanted")

    def __init__(self, responses: ResponseMemory, owner: UserId) -> None:
        self._all = responses
        self.owner = owner
        self.size = 0
        self.counted = 0
        self.wanted = 0
        self.closed = False

    def take(self, size: int) -> None:
        """Count `size` bytes more, or raise BudgetExceeded."""
        self._all.resize(self, self.size + size)

    def shrink(self, size: int) -> None:
        """Release all but `size` bytes."""
        self._all.shrink(self, size)

    def empty(self) -> None:
        """Release all bytes."""
        if self.size:
            self._all.empty(self)

    def close(self) -> None:
        """Release all bytes for good. A store that is still reading for this response gets BudgetExceeded."""
        self.closed = True
        self.empty()


def _trim() -> None:
    """Return free memory to the operating system; glibc would keep it for the thread that allocated it."""
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
