"""The issuer's public keys (RFC 7517), loaded in the background; a request waits only if no usable key is loaded."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from todo_adapters.auth.key_set import KEY_SET_ALGORITHMS, KeySet
from todo_adapters.auth.keys import Key
from todo_adapters.auth.loading import CannotLoad, Loader, in_words
from todo_domain.deadline import Deadline
from todo_domain.errors import Unavailable

KEPT: Final = 86_400.0
"""Seconds for which keys are used while newer ones cannot be loaded."""

_log = logging.getLogger("todo.auth")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadTimes:
    """How often keys are loaded and how long a load may take, in seconds.

    `apart` is the least time between the starts of two loads, and so the longest time for which a new key is unknown.
    `first` is the deadline of a load before any keys are loaded, because a provider on a cold platform is slow; `later`
    is the deadline of the others. A caller waits for a load until its own deadline; the load continues.
    """

    apart: float = 5.0
    first: float = 10.0
    later: float = 2.0


FETCHED: Final = LoadTimes()
"""The times for keys that come over the network."""

READ: Final = LoadTimes(apart=0.5)
"""The times for keys in a file."""


class JwksKeys:
    """A KeySource over a loader, for KEY_SET_ALGORITHMS; each key is used for its own algorithm only.

    `on_change` is called with the number of keys after each change; it must neither raise nor block. `clock` returns
    monotonic seconds. All calls must come from one event loop.
    """

    algorithms: Final = KEY_SET_ALGORITHMS

    def __init__(
        self,
        loader: Loader,
        *,
        times: LoadTimes = FETCHED,
        on_change: Callable[[int], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loader = loader
        self._times = times
        self._on_change = on_change
        self._clock = clock
        self._keys = KeySet()
        self._version = 0
        self._fresh = 0.0
        self._loaded_at = self._begun_at = -math.inf
        self._failure: str | None = "not fetched yet"
        self._loading: asyncio.Task[None] | None = None

    @property
    def version(self) -> int:
        """How often the keys have changed."""
        return self._version

    @property
    def keys(self) -> KeySet:
        """The loaded keys, fresh or not."""
        return self._keys

    @property
    def failure(self) -> str | None:
        """The error of the latest load, in a few words without the URL; None if it succeeded."""
        return self._failure

    async def open(self) -> None:
        """Begin to load the keys; a failure is logged."""
        self._begin_load()

    async def aclose(self) -> None:
        """Cancel a load in progress."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Return the loaded key for this header, or none. Begins a load if it is due, without waiting for it."""
        return self._keys.find(kid, algorithm) if self._at_hand() else ()

    async def search(self, kid: str | None, algorithm: str, *, deadline: Deadline | None = None) -> Sequence[Key]:
        """Wait for a load, new if one is due or else in progress, then find again.

        Raises Unavailable if the key is missing and the latest load failed or does not end by the deadline.
        """
        await self._wait_for_load(deadline)
        found = self.find(kid, algorithm)
        if not found and self._failure:
            raise self._unavailable()
        return found

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return if there are keys; load them like `search` if there are none. Raises Unavailable."""
        if not self._at_hand():
            await self._wait_for_load(deadline)
            if not self._at_hand():
                raise self._unavailable()

    def _at_hand(self) -> bool:
        """Return whether there are usable keys. Begins a load if they are not fresh."""
        age = self._clock() - self._loaded_at
        if age > self._fresh:
            self._begin_load()
        return age <= KEPT

    def _unavailable(self) -> Unavailable:
        wait = math.ceil(self._begun_at + self._times.apart - self._clock())
        return Unavailable("the key set that verifies tokens is out of reach: try again", retry_after=max(1, wait))

    def _begin_load(self) -> None:
        """Begin a load, unless one is in progress or the last one began less than `apart` seconds ago."""
        now = self._clock()
        if (self._loading is None or self._loading.done()) and now - self._begun_at >= self._times.apart:
            self._begun_at = now
            self._loading = asyncio.create_task(self._load(now))

    async def _wait_for_load(self, deadline: Deadline | None) -> None:
        """Begin a load if one is due; return when a load in progress ends, at the deadline at the latest."""
        self._begin_load()
        if self._loading is not None:
            # Awaiting the task itself would cancel it for all callers when one is cancelled or times out.
            left = (deadline or Deadline.within()).left()
            await asyncio.wait([self._loading], timeout=max(0, left))

    async def _load(self, begun_at: float) -> None:
        # Set first, so that a load that is cancelled or raises counts as failed.
        before, self._failure = self._failure, "unfinished"
        try:
            async with asyncio.timeout(self._times.first if self._version == 0 else self._times.later):
                keys, self._fresh = await self._loader.load()
        except (CannotLoad, TimeoutError, ValueError) as problem:
            self._failure = "too slow" if isinstance(problem, TimeoutError) else in_words(problem)
            if self._failure != before:
                _log.warning("the key set was not fetched: %s", self._failure)
            return
        self._failure = None
        self._loaded_at = begun_at
        if keys.identity == self._keys.identity:
            return
        self._keys = keys
        self._version += 1
        _log.info("the key set changed: %d keys now, %d left out", len(keys), len(keys.left_out))
        if self._on_change:
            self._on_change(len(keys))
