"""Sends the response to one request, with uvicorn's bytes in fewer steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from todo_app.server.transports import ResponseTransport

Header = tuple[bytes, bytes]


def _allowed(refused: re.Pattern[bytes]) -> bytes:
    return bytes(byte for byte in range(256) if not refused.match(bytes([byte])))


_IN_NAMES: Final = _allowed(HEADER_RE)
_IN_VALUES: Final = _allowed(HEADER_VALUE_RE)
"""The bytes that uvicorn allows in the names and values of header fields."""

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
"""The header fields that determine the end of the response."""


class ResponseCycle(RequestResponseCycle):
    """uvicorn's cycle of one request, which writes the head of the response together with the beginning of its body.

    It writes the same bytes as uvicorn's own cycle, but no chunked body to a client of HTTP/1.0: that body ends with
    the connection (RFC 9112, sections 6.1 and 6.3). uvicorn checks each name and each value by a regular expression;
    here all of a head are checked at once. There is no access log.
    """

    transport: ResponseTransport  # type: ignore[assignment]  # it uses no other methods
    _ends_with_connection: bool = False

    async def send(self, message: Any) -> None:  # noqa: ANN401  an ASGI message
        """Send a message of the response, once the client has read the previous ones.

        Raises RuntimeError for a message out of order, an invalid header, and a body that is longer or shorter than its
        `Content-Length`.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_complete:
            raise RuntimeError(f"{message['type']} was sent after the response was complete")
        expected = "http.response.body" if self.response_started else "http.response.start"
        if message["type"] != expected:
            raise RuntimeError(f"{message['type']} was sent instead of {expected}")
        if self.response_started:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            self.response_started = True
            self.waiting_for_100_continue = False
            self._begin(message["status"], [*self.default_headers, *message.get("headers", ())])

    def _begin(self, status: int, headers: Sequence[Header]) -> None:
        """Make the head, and hold it until the body begins."""
        names = b"".join([name for name, _ in headers])
        if names.translate(None, _IN_NAMES):
            raise RuntimeError("a header of the response has an invalid name")
        if b"".join([value for _, value in headers]).translate(None, _IN_VALUES):
            raise RuntimeError("a header of the response has an invalid value")
        if not names.islower():
            headers = [(name.lower(), value) for name, value in headers]
        head = [STATUS_LINE[status]]
        says_close = False
        for name, value in headers:
            if name in _FRAMING:
                says_close |= self._frame(name, value)
            head += (name, b": ", value, b"\r\n")
        if not self.keep_alive and not says_close:
            head.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in {204, 304}:
            if self.scope["http_version"] == "1.0":
                self._ends_with_connection = True
            else:
                self.chunked_encoding = True
                head.append(b"transfer-encoding: chunked\r\n")
        head.append(b"\r\n")
        self.transport.hold(b"".join(head))

    def _frame(self, name: bytes, value: bytes) -> bool:
        """Handle a header that determines the end of the response; return whether the connection ends it."""
        if name == b"connection":
            if b"close" not in [token.lower().strip() for token in value.split(b",")]:
                return False
            self.keep_alive = False
            return True
        if name == b"content-length":
            if self.chunked_encoding is None:
                self.expected_content_length = int(value)
                self.chunked_encoding = False
        elif value.lower() == b"chunked":
            self.expected_content_length = 0
            self.chunked_encoding = True
        return False

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            body = b""
        elif self.chunked_encoding:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        elif not self._ends_with_connection:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body of the response is longer than its Content-Length")
        self.transport.write(body)
        if more:
            return
        if self.expected_content_length != 0:
            raise RuntimeError("the body of the response is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()
