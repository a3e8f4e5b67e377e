"""Between a connection and its transport: bounded reads, parsing before reading on, an orderly close."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.flow_control import FlowControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

READ: Final = 16_384
"""The most bytes read from a socket at once, and so the most kept unparsed while a request is being answered."""


class Socket(asyncio.BufferedProtocol):
    """The protocol that the transport calls: it reads at most READ bytes at a time, where uvloop would read 256,000.

    All connections of a server share one buffer, because each copies its bytes before the next one reads.
    """

    def __init__(self, connection: HttpToolsProtocol, buffer: bytearray) -> None:
        self.connection = connection
        self._buffer = memoryview(buffer)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  asyncio's
        """Return the buffer to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass the bytes on."""
        self.connection.data_received(bytes(self._buffer[:nbytes]))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass the event on."""
        self.connection.connection_made(transport)  # type: ignore[arg-type]  # a socket's transport reads and writes

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the event on."""
        self.connection.connection_lost(exc)

    def eof_received(self) -> None:
        """Pass the end of input on; the transport closes."""
        self.connection.eof_received()

    def pause_writing(self) -> None:
        """Pass the event on."""
        self.connection.pause_writing()

    def resume_writing(self) -> None:
        """Pass the event on."""
        self.connection.resume_writing()


class Flow(FlowControl):
    """uvicorn's flow control, which parses the buffered bytes before it resumes reading."""

    def __init__(self, transport: asyncio.Transport, parse: Callable[[], None]) -> None:
        super().__init__(transport)
        self.parse = parse

    def resume_reading(self) -> None:
        """Parse the buffered bytes; the parser resumes reading once all are parsed."""
        self.parse()


class ResponseTransport:
    """The transport of responses, whose `close` calls `end`, which ends the connection in an orderly way.

    `written` counts the bytes of all responses.
    """

    __slots__ = ("_held", "_write", "end", "is_closing", "written")

    def __init__(self, transport: asyncio.Transport, end: Callable[[], None]) -> None:
        self._write = transport.write
        self._held = b""
        self.is_closing = transport.is_closing
        self.end = end
        self.written = 0

    def hold(self, head: bytes) -> None:
        """Hold the head of a response until the next piece is written, or until the response ends."""
        self._held = head

    def write(self, data: bytes) -> None:
        """Send a piece of a response, after a held head, and count it."""
        if self._held:
            data, self._held = self._held + data, b""
        if data:
            self.written += len(data)
            self._write(data)

    def close(self) -> None:
        """End the connection after the response."""
        self.write(b"")
        self.end()


def nothing() -> None:
    """Do nothing: the connection is closed."""
