"""The listeners for users' changes, and the ways to wake them.

A wake is a hint. A listener reads the changes after its own position, so a wake that is lost, repeated or early costs
one read at most: no change is missed, sent twice or sent out of order.
"""

from __future__ import annotations

import asyncio
import random
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from time import perf_counter
from typing import Any, Final, Literal, ParamSpec, Protocol, TypeVar, runtime_checkable

from todo_adapters.observability.calls import Wrapped
from todo_domain import Query, Tasks, Unavailable, UserId

P = ParamSpec("P")
T = TypeVar("T")

MOST_LISTENERS: Final = 2_500
"""The default for the most streams and waits in one worker."""

MOST_PER_USER: Final = 10
"""The default for the most streams and waits of one user in one worker."""

LONGEST_ROUND: Final = 30.0
"""The most seconds between two reads of one user's counter."""

_SHARE: Final = 20
"""A round of reads takes at most 1/_SHARE of the time: after one second of reads, the pause is at least nineteen."""

_AT_ONCE: Final = 64
"""Users whose counters one call of the store reads."""

_SILENT: Final = frozenset(
    {"get", "page", "snapshot", "changes", "export", "trash", "discard", "empty_trash", "make_feed", "end_feed", "feed"}
)
"""The methods of a store that do not move the counter."""


class TooManyListenersError(Exception):
    """The worker, or this user in it, has as many listeners as it may have."""


Kind = Literal["stream", "wait"]


class Listener:
    """One stream or one wait of one user.

    `position` is the revision that the client has reached; the code that entered the listener keeps it current, and a
    counter that differs from it wakes the listener. `leaves_at` is the time of the event loop at which the listener
    has to end because the service stops, None while the service goes on.
    """

    __slots__ = ("_future", "_woken", "_woken_at", "leaves_at", "position")

    def __init__(self) -> None:
        self.position = 0
        self.leaves_at: float | None = None
        self._woken = False
        self._woken_at = 0.0
        self._future: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """End the current `wait`, or the next one at once."""
        if not self._woken:
            self._woken, self._woken_at = True, perf_counter()
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def dismiss(self, at: float) -> None:
        """Set `leaves_at`, a time of the event loop, and wake the listener."""
        self.leaves_at = at
        self.wake()

    async def wait(self, until: float) -> float | None:
        """Wait for a wake until a time of the event loop. Return how many seconds ago it came, None if none came."""
        loop = asyncio.get_running_loop()
        if not self._woken:
            self._future = loop.create_future()
            timer = loop.call_at(until, self._expire, self._future)
            try:
                await self._future
            finally:
                timer.cancel()
                self._future = None
        if not self._woken:
            return None
        self._woken = False
        return perf_counter() - self._woken_at

    @staticmethod
    def _expire(future: asyncio.Future[None]) -> None:
        if not future.done():
            future.set_result(None)


class Listeners:
    """The listeners of one worker, by user: at most `most`, and at most `most_per_user` of one user.

    All calls must come from one event loop.
    """

    def __init__(self, *, most: int = MOST_LISTENERS, most_per_user: int = MOST_PER_USER) -> None:
        self._most = most
        self._most_per_user = most_per_user
        self._by_user: dict[UserId, set[Listener]] = {}
        self._by_digest: dict[str, UserId] = {}
        self.counts: dict[Kind, int] = {"stream": 0, "wait": 0}
        """The number of listeners of each kind."""
        self._present = asyncio.Event()
        self._leaves_by: float | None = None

    def __len__(self) -> int:
        """Return the number of listeners."""
        return sum(self.counts.values())

    @property
    def users(self) -> list[UserId]:
        """The users who have a listener."""
        return list(self._by_user)

    @contextmanager
    def enter(self, user: UserId, kind: Kind) -> Iterator[Listener]:
        """Add a listener while the block runs, or raise TooManyListenersError."""
        of_user = self._by_user.get(user)
        if len(self) >= self._most or (of_user is not None and len(of_user) >= self._most_per_user):
            raise TooManyListenersError
        if of_user is None:
            of_user = self._by_user[user] = set()
            self._by_digest[digest_of(user)] = user
        listener = Listener()
        of_user.add(listener)
        self.counts[kind] += 1
        self._present.set()
        if self._leaves_by is not None:
            self._dismiss(listener)
        try:
            yield listener
        finally:
            of_user.discard(listener)
            self.counts[kind] -= 1
            if not of_user and self._by_user.get(user) is of_user:
                del self._by_user[user]
                del self._by_digest[digest_of(user)]
            if not len(self):
                self._present.clear()

    async def present(self) -> None:
        """Return once there is a listener."""
        await self._present.wait()

    def wake(self, user: UserId) -> None:
        """Wake the listeners of a user, because the user's data has changed."""
        for listener in self._by_user.get(user, ()):
            listener.wake()

    def wake_digest(self, digest: str) -> None:
        """Wake the listeners of the user with this digest (see `digest_of`); another digest wakes nobody."""
        if (user := self._by_digest.get(digest)) is not None:
            self.wake(user)

    def wake_behind(self, counters: Mapping[UserId, int]) -> None:
        """Wake each listener that is not at its user's counter."""
        for user, counter in counters.items():
            for listener in self._by_user.get(user, ()):
                if listener.position != counter:
                    listener.wake()

    def wake_all(self) -> None:
        """Wake every listener, because wakes may have been lost."""
        for listeners in self._by_user.values():
            for listener in listeners:
                listener.wake()

    def leave(self, within: float) -> None:
        """Dismiss every listener at a random moment of the next `within` seconds, and so each new one.

        The moments differ so that the clients do not all reconnect at once.
        """
        if self._leaves_by is not None:
            return
        self._leaves_by = asyncio.get_running_loop().time() + within
        for listeners in self._by_user.values():
            for listener in listeners:
                self._dismiss(listener)

    def waking(self, tasks: Tasks, *, written: Callable[[UserId], None] | None = None) -> Tasks:
        """Return the store, wrapped so that each successful write wakes its user's listeners and calls `written`."""

        def wrap(operation: str, call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
            if operation in _SILENT:
                return call

            async def woken(*args: P.args, **kwargs: P.kwargs) -> T:
                result = await call(*args, **kwargs)
                user: Any = args[0]  # the port's methods take the owner first
                if user in self._by_user:
                    self.wake(user)
                if written is not None:
                    written(user)
                return result

            return woken

        return Wrapped(tasks, wrap)

    def _dismiss(self, listener: Listener) -> None:
        now = asyncio.get_running_loop().time()
        left = max((self._leaves_by or now) - now, 0.0)
        moment = now + random.uniform(0, left)  # noqa: S311  spreads the reconnections  # nosec B311
        listener.dismiss(moment)


@lru_cache(4096)
def digest_of(user: UserId) -> str:
    """Return 16 characters that identify a user where the id must not appear, as in a notification."""
    return urlsafe_b64encode(sha256(user.encode()).digest()[:12]).decode()


@runtime_checkable
class Counters(Protocol):
    """A store that reads the counters of many users in one call."""

    async def counters(self, users: Collection[UserId]) -> Mapping[UserId, int]:
        """Return the counter of each user, read with that user's rights; 0 for a user who never wrote."""


@runtime_checkable
class Versioned(Protocol):
    """A store that finds out within microseconds whether anything was written since the last call."""

    async def version(self) -> int:
        """Return a number that changes with every commit."""


class Poll:
    """Reads the counters of all users with listeners, in rounds, and wakes the listeners that are behind.

    It needs only the store, so it works through every pooler. A round begins `every()` seconds after the previous one;
    later, but at most after LONGEST_ROUND, if the rounds would otherwise take more than a twentieth of the time. A
    `Versioned` store whose version is unchanged is not read. Without listeners, nothing is read.
    """

    def __init__(self, listeners: Listeners, tasks: Tasks, *, every: Callable[[], float]) -> None:
        self._listeners = listeners
        self._tasks = tasks
        self._versioned = tasks if isinstance(tasks, Versioned) else None
        self._every = every
        self.round_seconds = 0.0
        """Seconds that the latest round and the pause after it take: the longest that a listener waits."""

    async def run(self) -> None:
        """Poll until cancelled. If the store is unavailable, the next round tries again."""
        version: int | None = None
        while True:
            await self._listeners.present()
            begun = perf_counter()
            try:
                found = None if self._versioned is None else await self._versioned.version()
                if found is None or found != version:
                    await self._round()
                version = found
            except Unavailable:
                version = None
            spent = perf_counter() - begun
            pause = min(max(self._every(), spent * (_SHARE - 1)), LONGEST_ROUND)
            self.round_seconds = spent + pause
            await asyncio.sleep(pause)

    async def _round(self) -> None:
        users = self._listeners.users
        for start in range(0, len(users), _AT_ONCE):
            some = users[start : start + _AT_ONCE]
            self._listeners.wake_behind(await self._counters(some))

    async def _counters(self, users: Collection[UserId]) -> Mapping[UserId, int]:
        if isinstance(self._tasks, Counters):
            return await self._tasks.counters(users)
        return {user: (await self._tasks.page(user, _ONE, unless=None)).revision for user in users}


_ONE: Final = Query(limit=1)
