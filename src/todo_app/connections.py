"""One client's connection: how many there may be, how long a request may take to arrive, how it ends."""

from __future__ import annotations

import asyncio
import resource
from os import urandom
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

ARRIVAL: Final = 15
"""Seconds. A request that is still incomplete when it was looked at twice, this far apart, is not waited for: so one
has between 15 and 30 seconds to arrive."""

KEEP_ALIVE: Final = 65
"""Seconds that an idle connection is kept. Proxies keep theirs for up to 60, and who asks must be who closes: or a
request and the end of its connection meet half-way."""

LINGER: Final = 1.0
"""Seconds in which an idle connection may still be asked, with `Connection: close` in the answer, while we leave."""

MOST: Final = 4_000
"""Connections of one process."""

_OTHER_FILES: Final = 100
"""What a process opens beside connections: the database, logs, numbers, libraries."""


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration for such connections, with what else a server of ours has to know.

    `drain_seconds` is how long it goes on serving after SIGTERM, `most_connections` how many it holds.
    """

    def __init__(self, app: Any, *, drain_seconds: int, most_connections: int, **settings: Any) -> None:  # noqa: ANN401  uvicorn's own
        super().__init__(app, http=Connection, timeout_keep_alive=KEEP_ALIVE, **settings)
        self.drain_seconds = drain_seconds
        self.most_connections = most_connections
        self.linger = LINGER


class Connection(HttpToolsProtocol):
    """uvicorn's connection, bounded.

    More than `most_connections` are told 503 and closed. A client that does not finish its request, or does not read
    its answer, is let go without a word. Nothing of this costs an ordinary request anything.
    """

    config: ServerConfig
    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # as it is before the first request
    _look_again: asyncio.TimerHandle | None = None
    _awaited: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's does
        """Take the connection, or refuse it."""
        super().connection_made(transport)
        if len(self.connections) > self.config.most_connections:
            transport.write(_too_many())
            transport.close()
        else:
            self._look_again = self.loop.call_later(ARRIVAL, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._look_again is not None:
            self._look_again.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Answer what is being asked, wait a moment for what may be on its way, and close."""
        if self.config.linger and (self.cycle is None or self.cycle.response_complete):
            self.loop.call_later(self.config.linger, super().shutdown)
        else:
            super().shutdown()

    def _look(self) -> None:
        awaited = self._waits_for()
        if awaited is not None and awaited == self._awaited:
            self.transport.abort()
            return
        self._awaited = awaited
        self._look_again = self.loop.call_later(ARRIVAL, self._look)

    def _waits_for(self) -> object:
        """Return something that stays the same while one thing is awaited of the client; None if nothing is."""
        cycle = self.cycle
        if (unread := self.transport.get_write_buffer_size()) or self.transport.is_closing():
            return (unread, "to read on")
        if cycle is None or cycle.response_complete:
            return None if self.timeout_keep_alive_task else (cycle, "the next request")
        return (cycle, "the rest of the body") if cycle.more_body else None


def most_connections() -> int:
    """Return how many connections a process may hold, having let it open more files if it needs to and may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST if soft == resource.RLIM_INFINITY else min(MOST, max(soft - _OTHER_FILES, 1))


def _too_many() -> bytes:
    request_id = urandom(12).hex()
    body = f'{{"error":"too many connections: try again","code":"unavailable","request_id":"{request_id}"}}'
    return (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
        f"Retry-After: 1\r\nX-Request-ID: {request_id}\r\nX-Content-Type-Options: nosniff\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
