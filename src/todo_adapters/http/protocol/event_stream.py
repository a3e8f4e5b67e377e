"""One user's changes as a stream of server-sent events (HTML Living Standard, section 9.2)."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from todo_adapters.http.protocol.response import PIECE, encode
from todo_adapters.http.protocol.schemas import changes_out
from todo_domain import Changes, Resync, Unavailable
from todo_domain.owner import LARGEST_ID

if TYPE_CHECKING:
    from litestar.types import Send

    from todo_adapters.http.protocol.response import Header
    from todo_adapters.live import Listener
    from todo_domain.memory_budget import MemoryBudget

PAGE: Final = 100
"""The most items in one `changes` event."""

SPACING: Final = 0.05
"""Seconds between two `changes` events of a stream: at most 20 a second."""

PING: Final = 20.0
"""Seconds between two pings, give or take a tenth."""

ROTATION: Final = 600.0
"""Seconds that a stream lasts, give or take a tenth, so that a key withdrawn at the issuer ends the stream by then."""

BEFORE_EXPIRY: Final = 5.0
"""The most seconds before its token's expiry at which a stream ends."""

RETRY_BUSY: Final = 30_000
"""Milliseconds after which a client that got `busy` may reconnect."""

HEADERS: Final[list[Header]] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
]

EndReason = Literal["token_expires", "rotate", "restart", "busy"]
"""Why the service ends a stream."""

_NEVER: Final = float("inf")

_OUTAGE: Final = 2.0
"""Seconds after which an unreachable store is read again."""

_REVISION = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)


class StreamPosition(NamedTuple):
    """The position that a stream continues from: a revision, None for the counter now.

    `known` is False if the client's value is not a revision.
    """

    revision: int | None
    known: bool = True


def stream_position(last_event_id: str | None) -> StreamPosition | None:
    """Return the position in a `Last-Event-ID`, None if that is absent or empty, unknown if it is not a revision."""
    if not last_event_id:
        return None
    if _REVISION.fullmatch(last_event_id) and int(last_event_id) <= LARGEST_ID:
        return StreamPosition(int(last_event_id))
    return StreamPosition(None, known=False)


def event(name: str, data: object, *, id_: int | None = None) -> bytes:
    """Return one event; `data` becomes JSON on one line."""
    number = b"" if id_ is None else b"id: %d\n" % id_
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), number, encode(data))


def bye(reason: EndReason) -> bytes:
    """Return the event that precedes an end by the service."""
    return event("bye", {"reason": reason})


def busy() -> bytes:
    """Return the whole stream for a client beyond the limits. A 429 or 503 would keep a browser from reconnecting."""
    return b"retry: %d\n\n" % RETRY_BUSY + bye("busy")


class EventStream:
    """The events of one listener, from `start` on.

    `read` returns at most PAGE changes after a revision, or raises Resync; `counter` is the user's counter when the
    stream was opened. `expires_at` is the token's expiry in seconds since 1970. `sent` receives how many seconds after
    its wake a change was written. `budget` counts an event until the client has read it; an event beyond it is read
    again later. The stream ends for the reasons of `bye`, or when the client disconnects.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        start: StreamPosition,
        counter: int,
        read: Callable[[int], Awaitable[Changes]],
        count: Callable[[], Awaitable[int]],
        expires_at: float,
        sent: Callable[[float], None],
        budget: MemoryBudget,
    ) -> None:
        self._listener = listener
        self._start = start
        self._counter = counter
        self._read = read
        self._count = count
        self._expires_at = expires_at
        self._sent = sent
        self._budget = budget
        self._rest_until = 0.0

    async def send_to(self, send: Send) -> None:
        """Send the stream as an ASGI response; return at its end."""
        await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS]})
        async with aclosing(self.events()) as events:
            async for part in events:
                for begin in range(0, len(part), PIECE):
                    await send({"type": "http.response.body", "body": part[begin : begin + PIECE], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield the stream in pieces of whole events."""
        listener, loop = self._listener, asyncio.get_running_loop()
        ends = _Ends(loop.time(), self._expires_at - time.time())
        ping_at = loop.time() + _about(PING)
        position, resync = self._resolve()
        listener.position = position
        yield b"retry: %d\n\n" % random.randrange(1_000, 4_000) + event(  # noqa: S311  only spreads the returns  # nosec B311
            "ready", {"revision": self._counter}, id_=position
        )
        if resync:
            yield event("resync", {"revision": position}, id_=position)
        read_at, ago = loop.time(), 0.0
        while True:
            now = loop.time()
            if reason := ends.reason(now, listener.leaves_at):
                yield bye(reason)
                return
            if now >= ping_at:
                ping_at = now + _about(PING)
                yield event("ping", {"token_expires_in": max(0, int(self._expires_at - time.time()))})
            if now >= read_at:
                written, read_at = await self._next()
                if written:
                    yield written
                    self._budget.empty()
                    self._sent(ago + loop.time() - now)
            woken = await listener.wait(min(ping_at, read_at, ends.next(listener.leaves_at)))
            if woken is not None:
                read_at, ago = max(loop.time(), self._rest_until), woken

    async def _next(self) -> tuple[bytes, float]:
        """Return the event to write now, if any, and the time at which to read again without a wake."""
        listener, now = self._listener, asyncio.get_running_loop().time()
        try:
            changes = await self._read(listener.position)
            written = event("changes", changes_out(changes), id_=changes.revision)
            self._budget.take(len(written))
        except Resync:
            listener.position = counter = await self._count()
            return event("resync", {"revision": counter}, id_=counter), _NEVER
        except Unavailable:
            return b"", now + _about(_OUTAGE)
        if changes.revision == listener.position:
            self._budget.empty()
            return b"", _NEVER
        listener.position = changes.revision
        self._rest_until = now + SPACING
        return written, self._rest_until if changes.has_more else _NEVER

    def _resolve(self) -> tuple[int, bool]:
        """Return the position that the stream continues from, and whether the client must drop its copy first."""
        asked = self._start.revision
        if not self._start.known:
            return self._counter, True
        if asked is None:
            return self._counter, False
        if asked > self._counter or (asked == 0) != (self._counter == 0):
            return self._counter, True
        return asked, False


class _Ends:
    """The times at which the service ends a stream, in the event loop's time; `token_left` is in seconds."""

    def __init__(self, now: float, token_left: float) -> None:
        self._rotate_at = now + _about(ROTATION)
        self._expire_at = now + token_left - random.uniform(1, BEFORE_EXPIRY)  # noqa: S311  only spreads the ends  # nosec B311

    def reason(self, now: float, leaves_at: float | None) -> EndReason | None:
        """Return the reason to end the stream now, None if there is none."""
        if leaves_at is not None and now >= leaves_at:
            return "restart"
        if now >= self._expire_at:
            return "token_expires"
        return "rotate" if now >= self._rotate_at else None

    def next(self, leaves_at: float | None) -> float:
        """Return the time of the next end."""
        return min(self._expire_at, self._rotate_at, _NEVER if leaves_at is None else leaves_at)


def _about(seconds: float) -> float:
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311  only spreads what would come together  # nosec B311
