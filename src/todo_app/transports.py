"""What stands between a connection and its transport: bounded reads, parsing before reading on, an end in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.flow_control import FlowControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

READ: Final = 16_384
"""Bytes that are read from a socket at once: so many at most are kept unparsed while a request is being answered."""


class Socket(asyncio.BufferedProtocol):
    """The transport's side of a connection: it reads READ bytes at most at a time, where uvloop would read 256,000.

    All connections of a server read into one buffer, because each takes its bytes out before the next one reads.
    """

    def __init__(self, connection: HttpToolsProtocol, buffer: bytearray) -> None:
        self.connection = connection
        self._buffer = memoryview(buffer)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  asyncio's
        """Return where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what was read."""
        self.connection.data_received(bytes(self._buffer[:nbytes]))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand on."""
        self.connection.connection_made(transport)  # type: ignore[arg-type]  # a socket's transport reads and writes

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand on."""
        self.connection.connection_lost(exc)

    def eof_received(self) -> None:
        """Hand on: the transport closes."""
        self.connection.eof_received()

    def pause_writing(self) -> None:
        """Hand on."""
        self.connection.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self.connection.resume_writing()


class Flow(FlowControl):
    """uvicorn's flow control, for which to read on means to parse first what was read and not parsed yet."""

    def __init__(self, transport: asyncio.Transport, parse: Callable[[], None]) -> None:
        super().__init__(transport)
        self.parse = parse

    def resume_reading(self) -> None:
        """Parse on; that lets the transport read once all is parsed."""
        self.parse()


class AnswerTransport:
    """The transport as an answer sees it, for which to close the connection is to end it in order.

    `written` counts the bytes of all answers.
    """

    __slots__ = ("_write", "close", "is_closing", "written")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._write = transport.write
        self.is_closing = transport.is_closing
        self.close = close
        self.written = 0

    def write(self, data: bytes) -> None:
        """Send a piece of an answer when the client has read what is before it."""
        self.written += len(data)
        self._write(data)


def nothing() -> None:
    """Do nothing: there is no connection any more."""
