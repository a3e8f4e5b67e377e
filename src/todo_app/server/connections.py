"""Client connections: how many there may be, how much memory each may take, and how a connection ends."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from todo_adapters.http.middleware.cors import Cors
from todo_adapters.http.middleware.edge import vary
from todo_app.server.refusals import refusal
from todo_app.server.refused_head import REST_OF_HEAD, RefusedHead
from todo_app.server.request_reader import RequestReader
from todo_app.server.transports import READ, ResponseTransport, Socket, nothing
from todo_domain import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from todo_domain import TodoError

ARRIVAL: Final = 15
"""Seconds between two checks of a connection. A request that is incomplete at two checks in a row is dropped, so a
request has between 15 and 30 seconds to arrive."""

LINGER: Final = 1.0
"""Seconds in which an idle connection may still send a request while the server stops; its response has `Connection:
close`."""

LINGERING_CLOSE: Final = 2.0
"""Seconds for which the server still reads from a client after the last response."""

MOST_CONNECTIONS: Final = 8_000
"""The most connections of one process, if its limit of open files allows them."""

OTHER_FILES: Final = 100
"""Files that a process opens beside connections: the database, logs, metrics, libraries."""


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration with `Connection` as its protocol and the settings of `Server`.

    `drain_seconds` is how long it serves after SIGTERM, `most_connections` how many connections it holds. The refusals
    of the server itself have CORS headers for the `cors_origins`, too.
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

    * A connection beyond `most_connections` gets 503 and is closed.
    * A target, a header section or a trailer section over LIMIT is 431; its bytes are counted as they arrive. A request
      that RFC 9112 requires a server to refuse is 400. Both have the error shape of the API, and the connection closes,
      because the start of the next request is unknown.
    * A request is parsed after the previous one is answered, so at most READ bytes of it are buffered.
    * Upgrades are ignored and trailers dropped (RFC 9110, sections 7.8 and 6.5.1).
    * A client that does not finish its request, or does not read its response, is disconnected without a response.
    """

    config: ServerConfig
    _check_timer: asyncio.TimerHandle | None = None
    _awaited: object = None
    _refused: tuple[RefusedHead, TodoError] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's does
        """Accept the connection, or refuse it if there are too many."""
        super().connection_made(transport)
        self._response_transport = ResponseTransport(transport, self._end)
        if len(self.connections) > self.config.most_connections:
            transport.write(refusal(Unavailable("too many connections: try again"), self.server_state.default_headers))
            self._closing = True
            transport.close()
        else:
            self._check_timer = self.loop.call_later(min(ARRIVAL, self.timeout_keep_alive), self._check_progress)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer and release the transport."""
        if self._check_timer is not None:
            self._check_timer.cancel()
        super().connection_lost(exc)
        self._response_transport.end = nothing  # breaks a reference cycle

    def shutdown(self) -> None:
        """Answer the current request, wait `linger` seconds for a request that may be on its way, and close."""
        self._keep_alive = False
        if self.config.linger and (self.cycle is None or self.cycle.response_complete):
            self.loop.call_later(self.config.linger, super().shutdown)
        else:
            super().shutdown()

    def _refuse(self, error: TodoError, rest: bytes) -> None:
        """Refuse the bytes that came last: they are not a valid request, or belong to a body that cannot be read."""
        cycle = self.cycle
        self._closing = True
        self._unparsed = b""
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started:  # the connection closes after the response
                cycle.keep_alive = False
                return
            cycle.disconnected = True
            cycle.message_event.set()
            self._send_refusal(error, RefusedHead(self.headers).origin)
        elif not self._framing.in_head:
            self._linger()
        else:
            self._refuse_head(error, rest)

    def _refuse_head(self, error: TodoError, rest: bytes) -> None:
        """Refuse a head once it ends, because the CORS headers let its page read the refusal."""
        begun = self._method is not None
        if not begun:
            self.headers = []  # those of the previous request
        head = RefusedHead(self.headers)
        if head.ends_in(rest) or (begun and self._framing.section_ended) or not self.config.cors.varies:
            self._send_refusal(error, head.origin)
            return
        self._refused = (head, error)
        self._reading.resume_reading()
        self.loop.call_later(REST_OF_HEAD, self._send_refused)

    def _dropped(self, data: bytes) -> None:
        """Search the rest of a refused head."""
        if self._refused is not None and self._refused[0].ends_in(data):
            self._send_refused()

    def _send_refused(self) -> None:
        if self._refused is not None and not self.transport.is_closing():
            (head, error), self._refused = self._refused, None
            self._send_refusal(error, head.origin)

    def _send_refusal(self, error: TodoError, origin: bytes | None) -> None:
        """Send this error and end the connection. What depends on the head depends on what was parsed of it."""
        cors = self.config.cors
        common = [*self.server_state.default_headers, *cors.headers(origin), *vary(cors, self.url.partition(b"?")[0])]
        request_id = dict(self.headers or ()).get(b"x-request-id")
        head = self._method == b"" and self.parser.get_method() == b"HEAD"
        self.transport.write(refusal(error, common, request_id=request_id, head=head))
        self._linger()

    def _end(self) -> None:
        """End the connection after a response."""
        if self._closing or self._unparsed or (self.cycle is not None and self.cycle.more_body):
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Close for sending, then wholly when the client closes or after LINGERING_CLOSE (RFC 9112, section 9.6).

        Closing a socket with unread bytes resets the connection, and the client may lose the response.
        """
        self._closing = True
        self._unparsed = b""
        self._reading.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGERING_CLOSE, self.transport.close)

    def _check_progress(self) -> None:
        """Close a connection that is idle for too long, or whose client has made no progress since the last check.

        One timer serves both: to set and cancel one for each request costs more.
        """
        awaited = self._awaited_progress()
        if awaited is not None and awaited == self._awaited:
            self.transport.abort()
            return
        self._awaited = awaited
        again: float = ARRIVAL
        if awaited is None and self._idle_since is not None:
            left = self._idle_since + self.timeout_keep_alive - self.loop.time()
            if left <= 0:
                self.transport.close()
                return
            again = min(ARRIVAL, left)
        self._check_timer = self.loop.call_later(again, self._check_progress)

    def _awaited_progress(self) -> object:
        """Return a value that changes with the client's progress; None if the server does not wait for the client."""
        cycle = self.cycle
        if (unread := self.transport.get_write_buffer_size()) or self.transport.is_closing():
            # A long response is written as the client reads it, so the unread size alone does not show progress.
            return (self._response_transport.written - unread, "to read on")
        if cycle is None or cycle.response_complete:
            return None if self._idle_since is not None else (cycle, "the next request")
        return (cycle, "the rest of the body") if cycle.more_body else None


def connect(config: ServerConfig, **parts: Any) -> Socket:  # noqa: ANN401  uvicorn's own
    """Return the protocol of a new connection for asyncio's transport."""
    return Socket(Connection(config, **parts), config.read_buffer)


def most_connections() -> int:
    """Raise this process's limit of open files if necessary and allowed; return how many connections it may hold.

    It is 0 if the limit allows the process's other files at most.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else soft - OTHER_FILES
    return min(MOST_CONNECTIONS, max(most, 0))
