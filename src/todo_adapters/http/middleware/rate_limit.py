"""Rate limits. Only a deployment that sets a limit loads this module."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address
from math import ceil
from typing import Final

from limits import RateLimitItem, parse_many
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from todo_adapters.http.protocol.errors import RateLimited

MOST_TRACKED: Final = 50_000
"""The most callers that one limit tracks (about 15 MB); beyond them, the one whose window began first is dropped."""


class Rate:
    """A rate limit for each caller, in windows that begin with a caller's first request.

    `limit` has the form `100/minute`; `reason` is its name in the audit log. `clock` returns monotonic seconds. Only
    this process's requests count. Raises ValueError for a malformed limit.
    """

    def __init__(self, limit: str, *, reason: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = parsed_limit(limit)
        self._reason = reason
        self._clock = clock
        self._windows = FixedWindowRateLimiter(_Windows(clock))

    def spend(self, caller: str, requests: int = 1, counted: int = 0) -> None:
        """Count requests of this caller, or raise RateLimited with the whole seconds until its window ends.

        Several requests are counted together, or none of them if they exceed the limit. `counted` of the same piece of
        work are counted already: all of it counts as the limit at most, because otherwise it would never fit.
        """
        requests = min(requests, self._limit.amount - counted)
        if not requests:
            return
        fits = requests == 1 or self._windows.test(self._limit, caller, cost=requests)
        if not fits or not self._windows.hit(self._limit, caller, cost=requests):
            ends = self._windows.get_window_stats(self._limit, caller).reset_time
            raise RateLimited(max(1, ceil(ends - self._clock())), self._reason)

    def spend_address(self, peer: str | None) -> None:
        """Count one request from this address. An IPv6 caller has 2^64 addresses, so a /64 counts as one."""
        try:
            address = IPv6Address(peer or "")
        except AddressValueError:
            self.spend(peer or "")
        else:
            self.spend(str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64)))


class _Counter:
    __slots__ = ("count", "ends")

    def __init__(self, ends: float) -> None:
        self.count = 0
        self.ends = ends


class _Windows(Storage):
    """At most MOST_TRACKED counters in memory, for one limit: all windows have one length, so they end in order.

    The library's own storage is unbounded and starts a thread.
    """

    STORAGE_SCHEME = None
    base_exceptions = ()

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._counters: OrderedDict[str, _Counter] = OrderedDict()

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, and return the count in the window of `expiry` seconds."""
        now = self._clock()
        counter = self._counters.get(key)
        if counter is None or now >= counter.ends:
            self._forget(now)
            counter = self._counters[key] = _Counter(now + expiry)
        counter.count += amount
        return counter.count

    def get(self, key: str) -> int:
        """Return the count."""
        counter = self._counters.get(key)
        return 0 if counter is None or self._clock() >= counter.ends else counter.count

    def get_expiry(self, key: str) -> float:
        """Return when the window ends."""
        counter = self._counters.get(key)
        return self._clock() if counter is None else counter.ends

    def check(self) -> bool:
        """Return whether counting works."""
        return True

    def reset(self) -> int:
        """Remove all counters, and return how many there were."""
        count = len(self._counters)
        self._counters.clear()
        return count

    def clear(self, key: str) -> None:
        """Remove one counter."""
        self._counters.pop(key, None)

    def _forget(self, now: float) -> None:
        """Remove the windows that have ended, and the oldest ones if there are too many."""
        while self._counters:
            oldest, counter = next(iter(self._counters.items()))
            if now < counter.ends and len(self._counters) < MOST_TRACKED:
                return
            del self._counters[oldest]


def parsed_limit(text: str) -> RateLimitItem:
    """Return the limit in `text`; raise ValueError with the rest of a sentence about the setting."""
    try:
        limits = parse_many(text)
    except ValueError:
        limits = []
    if len(limits) != 1 or limits[0].amount < 1:
        raise ValueError(f"must be a number of requests in a time, like 100/minute, not {text!r}")
    return limits[0]
