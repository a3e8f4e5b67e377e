"""Exports, imports and erasures: they may take long, so few of them run at a time."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from todo_adapters.http.protocol.errors import RateLimited
from todo_adapters.http.protocol.response import EndedResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from litestar.types import ASGIApp

    from todo_domain import UserId

MOST_TRANSFERS: Final = 2
"""The most concurrent transfers of one worker."""

TRANSFER_WITHIN: Final = 30.0
"""Seconds that the work of one transfer may take; sending and receiving may take longer."""

LONGEST_PAUSE: Final = 30.0
"""Seconds without a byte after which the body of a transfer counts as cut."""

RETRY_AFTER: Final = 5
"""Seconds after which a refused transfer may be tried again."""


class Transfers:
    """The transfers of one worker: at most one of each user, and MOST_TRANSFERS in all."""

    def __init__(self) -> None:
        self._users: set[UserId] = set()

    def begin(self, user: UserId) -> None:
        """Begin a transfer of this user, or raise RateLimited."""
        if user in self._users:
            raise RateLimited(RETRY_AFTER, "transfers", "your last export, import or erasure is still running")
        if len(self._users) >= MOST_TRANSFERS:
            raise RateLimited(RETRY_AFTER, "transfers", "too many exports, imports and erasures at once")
        self._users.add(user)

    def end(self, user: UserId) -> None:
        """End the transfer of this user."""
        self._users.discard(user)

    async def respond(self, user: UserId, making: Callable[[], Awaitable[ASGIApp]]) -> ASGIApp:
        """Return the result of `making`; the transfer lasts until this response is sent. Raises RateLimited."""
        self.begin(user)
        try:
            return EndedResponse(await making(), partial(self.end, user))
        except BaseException:
            self.end(user)
            raise

    @contextmanager
    def one(self, user: UserId) -> Iterator[None]:
        """Hold a transfer while the block runs, or raise RateLimited."""
        self.begin(user)
        try:
            yield
        finally:
            self.end(user)
