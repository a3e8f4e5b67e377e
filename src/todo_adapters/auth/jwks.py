"""The issuer's public keys, fetched from its JWKS URL (RFC 7517) and never waited for without need.

Only this module imports httpx: a service with shared secrets does without both.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import math
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final

import httpx

from todo_adapters.auth.key_set import KEY_SET_ALGORITHMS, KeySet, parse_key_set
from todo_adapters.auth.keys import Key
from todo_domain.errors import Unavailable

DEADLINE: Final = 2.0
"""Seconds for one fetch, from the name lookup to the last byte."""

LARGEST_DOCUMENT: Final = 256 * 1024
"""Bytes in a key set at most; a larger one is not read to its end."""

APART: Final = 5.0
"""Seconds between the beginnings of two fetches at least: so long may a new key be unknown."""

FRESH: Final = 300.0
"""Seconds after which the keys are fetched again, while those at hand go on serving."""

KEPT: Final = 86_400.0
"""Seconds for which keys serve while no newer ones can be had."""

_LAST_PORT: Final = 65_535

_log = logging.getLogger("todo.auth")


class JwksKeys:
    """A KeySource over a JWKS URL: KEY_SET_ALGORITHMS, each key for its own algorithm alone.

    `url` is https, or http on a loopback host, without a password; else ValueError. Redirects, proxies and compressed
    answers are not taken. `on_change` is called with the number of keys whenever they have changed; it must neither
    raise nor wait. `deadline` is in seconds. `tls` says whom to trust, None the authorities that httpx ships.
    `clock` gives seconds that never go back. All calls come from one event loop.
    """

    algorithms: Final = KEY_SET_ALGORITHMS

    def __init__(
        self,
        url: str,
        *,
        on_change: Callable[[int], None] | None = None,
        deadline: float = DEADLINE,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = _checked(url)
        self._on_change = on_change
        self._deadline = deadline
        # Reading the authorities takes a while, so not in the event loop.
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._clock = clock
        self._keys = KeySet()
        self._version = 0
        self._fetched_at = self._begun_at = -math.inf
        self._failure: str | None = "not fetched yet"
        self._flight: asyncio.Task[None] | None = None

    @property
    def version(self) -> int:
        """How often the keys have changed."""
        return self._version

    @property
    def failure(self) -> str | None:
        """What was wrong with the latest fetch, in a few words without the URL; None if it worked."""
        return self._failure

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Return the one key at hand for this header, or none. Begins a fetch if it is time, and waits for none."""
        return self._keys.find(kid, algorithm) if self._at_hand() else ()

    async def search(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Fetch if the last fetch began APART seconds ago, join one that is under way, and find again.

        Raises Unavailable if the key is not there and the latest fetch failed.
        """
        await self._arrival()
        found = self.find(kid, algorithm)
        if not found and self._failure:
            raise self._unavailable()
        return found

    async def check(self) -> None:
        """Return if there are keys, fetching them as `search` does if there are none. Raises Unavailable."""
        if not self._at_hand():
            await self._arrival()
            if not self._at_hand():
                raise self._unavailable()

    async def aclose(self) -> None:
        """End a fetch that is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])

    def _at_hand(self) -> bool:
        """Whether there are keys to serve with. Begins a fetch if they are not fresh."""
        age = self._clock() - self._fetched_at
        if age > FRESH:
            self._depart()
        return age <= KEPT

    def _unavailable(self) -> Unavailable:
        wait = math.ceil(self._begun_at + APART - self._clock())
        return Unavailable("the key set that tokens are checked with is out of reach", retry_after=max(1, wait))

    def _depart(self) -> None:
        """Begin a fetch, unless one is under way or the last began a moment ago."""
        now = self._clock()
        if (self._flight is None or self._flight.done()) and now - self._begun_at >= APART:
            self._begun_at = now
            self._flight = asyncio.create_task(self._fetch(now))

    async def _arrival(self) -> None:
        self._depart()
        if self._flight is not None:
            # Unlike awaiting the task, this does not cancel it for all when one caller is cancelled.
            await asyncio.wait([self._flight])

    async def _fetch(self, begun_at: float) -> None:
        # Until proven otherwise: a fetch that is cancelled or ends in a bug has failed as well.
        self._failure = "unfinished"
        try:
            keys = parse_key_set(await self._download())
        except (httpx.HTTPError, OSError, ValueError) as error:
            self._failure = _in_short(error)
            _log.warning("the key set was not fetched: %s", self._failure)
            return
        self._failure = None
        self._fetched_at = begun_at
        if keys.identity == self._keys.identity:
            return
        self._keys = keys
        self._version += 1
        _log.info("the key set changed: %d keys now, %d left out", len(keys), len(keys.left_out))
        if self._on_change:
            self._on_change(len(keys))

    async def _download(self) -> bytes:
        # A client for each fetch: nothing to keep open for minutes, no cookies, no tie to an event loop.
        async with (
            asyncio.timeout(self._deadline),
            httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=self._deadline) as client,
            client.stream("GET", self._url, headers={"Accept-Encoding": "identity"}, follow_redirects=False) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"status {answer.status_code}")
            # A few compressed bytes could become any number.
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise ValueError("compressed")
            document = bytearray()
            async for part in answer.aiter_raw():
                document += part
                if len(document) > LARGEST_DOCUMENT:
                    raise ValueError(f"more than {LARGEST_DOCUMENT} bytes")
        return bytes(document)


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise ValueError("the URL of the key set is not a URL") from None
    if parsed.scheme != "https" and not (parsed.scheme == "http" and _is_loopback(parsed.host)):
        raise ValueError("the URL of the key set must begin with https://, or with http:// on a loopback host")
    if not parsed.host or parsed.userinfo:
        raise ValueError("the URL of the key set must have a host, and neither a user name nor a password")
    if parsed.port is not None and not 0 < parsed.port <= _LAST_PORT:
        raise ValueError(f"the URL of the key set must have a port from 1 to {_LAST_PORT}, or none")
    return parsed


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_short(error: Exception) -> str:
    """Say what went wrong without a host, a path, or a byte of the answer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or 'broken'}"
        if isinstance(cause, TimeoutError | httpx.TimeoutException):
            return "too slow"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, UnicodeDecodeError | json.JSONDecodeError):
        return "not UTF-8 JSON"
    return str(error) if type(error) is ValueError else type(error).__name__
