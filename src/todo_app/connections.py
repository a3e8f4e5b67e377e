"""Client connections: how many there may be, what each may make the server keep, and how a connection ends."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from todo_adapters.http.middleware.cors import Cors
from todo_adapters.http.protocol.errors import HeadersTooLarge
from todo_app.long_head import REST_OF_HEAD, LongHead
from todo_app.refusals import refusal
from todo_app.request_reader import RequestReader
from todo_app.transports import READ, AnswerTransport, Socket, nothing
from todo_domain import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from todo_adapters.http.protocol.response import Header
    from todo_domain import TodoError

ARRIVAL: Final = 15
"""Seconds. A request that is still incomplete when it was looked at twice, this far apart, is not waited for: so one
has between 15 and 30 seconds to arrive."""

LINGER: Final = 1.0
"""Seconds that an idle connection may still send a request while the server stops; the answer says that it closes."""

LINGERING_CLOSE: Final = 2.0
"""Seconds in which a client may still send what it had begun to send when the server had said its last word."""

MOST: Final = 8_000
"""Connections of one process, where it may open as many files."""

_OTHER_FILES: Final = 100
"""What a process opens beside connections: the database, logs, numbers, libraries."""


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration for such connections, with what else a server of ours has to know.

    `drain_seconds` is how long it goes on serving after SIGTERM, `most_connections` how many it holds; pages of the
    `cors_origins` may read its own refusals, too.
    """

    def __init__(
        self,
        app: Any,  # noqa: ANN401  uvicorn's own
        *,
        drain_seconds: int,
        most_connections: int,
        cors_origins: Iterable[str] = (),
        **settings: Any,  # noqa: ANN401  uvicorn's own
    ) -> None:
        super().__init__(app, http=connect, **settings)  # type: ignore[arg-type]  # asyncio takes one too
        self.drain_seconds = drain_seconds
        self.most_connections = most_connections
        self.cors = Cors(cors_origins)
        self.linger = LINGER
        self.read_buffer = bytearray(READ)


class Connection(RequestReader):
    """uvicorn's connection, bounded.

    * More than `most_connections` are told 503 and closed.
    * A target, a header section or a trailer section over LIMIT is 431, counted as it arrives. What RFC 9112 has
      refused is 400. Both are our error shape, and the connection closes: nobody knows where the next request begins.
    * The next request is not parsed before the one before it is answered, so READ bytes of it are kept at most.
    * Upgrades are ignored and trailers dropped (RFC 9110, sections 7.8 and 6.5.1).
    * A client that does not finish its request, or does not read its answer, is let go without a word.
    """

    config: ServerConfig
    _look_again: asyncio.TimerHandle | None = None
    _awaited: object = None
    _long_head: tuple[LongHead, HeadersTooLarge] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's does
        """Take the connection, or refuse it."""
        super().connection_made(transport)
        self._answer_transport = AnswerTransport(transport, self._end)
        if len(self.connections) > self.config.most_connections:
            transport.write(refusal(Unavailable("too many connections: try again"), self.server_state.default_headers))
            self._closing = True
            transport.close()
        else:
            self._look_again = self.loop.call_later(ARRIVAL, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._look_again is not None:
            self._look_again.cancel()
        super().connection_lost(exc)
        self._answer_transport.close = nothing  # a circle less for the garbage collector

    def shutdown(self) -> None:
        """Answer what is being asked, wait a moment for what may be on its way, and close."""
        self._keep_alive = False
        if self.config.linger and (self.cycle is None or self.cycle.response_complete):
            self.loop.call_later(self.config.linger, super().shutdown)
        else:
            super().shutdown()

    def _refuse(self, error: TodoError, rest: bytes) -> None:
        """Refuse what came last: it is no request, or belongs to one whose body cannot be read."""
        cycle = self.cycle
        self._closing = True
        self._unparsed = b""
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started:  # it ends with the answer
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
            self._say(error)
        elif not self._framing.in_head:
            self._linger()
        elif isinstance(error, HeadersTooLarge) and self.config.cors.varies:
            self._long_head = (LongHead(self.headers), error)
            self._reading.resume_reading()
            self.loop.call_later(REST_OF_HEAD, self._refuse_long_head)
            self._dropped(rest)
        else:
            self._say(error)

    def _dropped(self, data: bytes) -> None:
        """Refuse a head that is too long where it ends, with the headers that its page needs to read the refusal."""
        if self._long_head is not None and self._long_head[0].ends_in(data):
            self._refuse_long_head()

    def _refuse_long_head(self) -> None:
        if self._long_head is not None and not self.transport.is_closing():
            (head, error), self._long_head = self._long_head, None
            self._say(error, [*self.config.cors.headers(head.origin), (b"vary", b"Origin")])

    def _say(self, error: TodoError, headers: Iterable[Header] = ()) -> None:
        """Answer with this error, and end the connection."""
        self.transport.write(refusal(error, [*self.server_state.default_headers, *headers]))
        self._linger()

    def _end(self) -> None:
        """End the connection after an answer."""
        if self._closing or self._unparsed or (self.cycle is not None and self.cycle.more_body):
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Send no more, and close when the client has done so too, or LINGERING_CLOSE later (RFC 9112, section 9.6).

        To close a socket on bytes that nobody has read resets the connection, and the answer may be lost.
        """
        self._closing = True
        self._unparsed = b""
        self._reading.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGERING_CLOSE, self.transport.close)

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
            # A long answer is written as it is read, so what is unread may be as much as before after any progress.
            return (self._answer_transport.written - unread, "to read on")
        if cycle is None or cycle.response_complete:
            return None if self.timeout_keep_alive_task else (cycle, "the next request")
        return (cycle, "the rest of the body") if cycle.more_body else None


def connect(config: ServerConfig, **parts: Any) -> Socket:  # noqa: ANN401  uvicorn's own
    """Return a new connection, as what a transport of asyncio reports to."""
    return Socket(Connection(config, **parts), config.read_buffer)


def most_connections() -> int:
    """Return how many connections a process may hold, having let it open more files if it needs to and may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST if soft == resource.RLIM_INFINITY else min(MOST, max(soft - _OTHER_FILES, 1))
