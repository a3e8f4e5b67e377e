"""Responses as ASGI applications."""

from __future__ import annotations

import asyncio
from time import thread_time
from typing import TYPE_CHECKING, Final

import msgspec

from todo_adapters.http.protocol.context import context_of
from todo_adapters.http.protocol.pace import pause_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from litestar.types import ASGIApp, Receive, Scope, Send

    from todo_adapters.http.protocol.pace import Traffic

Header = tuple[bytes, bytes]

JSON: Final[Header] = (b"content-type", b"application/json")
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
PRIVATE: Final[Header] = (b"cache-control", b"private, no-cache")

PIECE: Final = 64 * 1024
"""Bytes that are passed to the server at once. The server accepts the next piece when the client has read the last."""

encode = msgspec.json.Encoder().encode
"""Encodes a struct as JSON."""


class Response:
    """Status, headers and body of one response; sending it adds `Content-Length` where a body is allowed."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes = b"", headers: list[Header] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers or []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  the shape of an ASGI application
        """Send the response."""
        body, at = self.body, 0
        size = len(body)
        if self.status not in {204, 304}:  # RFC 9110, section 8.6: these two have no content to measure
            self.headers.append((b"content-length", b"%d" % size))
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        while size - at > PIECE:
            await send({"type": "http.response.body", "body": body[at : at + PIECE], "more_body": True})
            await asyncio.sleep(0)
            at += PIECE
        await send({"type": "http.response.body", "body": body[at:] if at else body, "more_body": False})

    def to_asgi_response(self, *_: object, **__: object) -> Response:
        """Return itself: Litestar calls this on the result of an exception handler."""
        return self


class EndedResponse:
    """A response after which `end` is called, also when sending fails."""

    __slots__ = ("_end", "_response")

    def __init__(self, response: ASGIApp, end: Callable[[], None]) -> None:
        self._response = response
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await self._response(scope, receive, send)
        finally:
            self._end()


class StreamingResponse:
    """A response with status 200 whose body is made in pieces, each when the client has read the previous ones.

    The length is not known in advance, so there is no `Content-Length`. HTTP/1.0 has no chunked coding, so for such a
    client all pieces are made first, and `Content-Length` is sent.

    While the worker has other requests, making the pieces takes at most `share` of the event loop's time. Without
    `traffic`, it always does.
    """

    __slots__ = ("_headers", "_pieces", "_share", "_traffic")

    def __init__(
        self, pieces: Iterable[bytes], headers: list[Header], *, share: float = 1.0, traffic: Traffic | None = None
    ) -> None:
        self._pieces = pieces
        self._headers = headers
        self._share = share
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  the shape of an ASGI application
        """Send the response. Other requests run between two pieces."""
        pieces, headers = self._pieces, self._headers
        if context_of(scope).method == "HEAD":
            pieces = ()
        elif scope["http_version"] == "1.0":
            pieces = [piece async for piece in self._paced(pieces)]
            headers = [*headers, (b"content-length", b"%d" % sum(map(len, pieces)))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for piece in self._paced(pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _paced(self, pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
        # The time of this thread: a pause for the time that other processes took would help nobody.
        begun = thread_time()
        for piece in pieces:
            spent = thread_time() - begun
            yield piece
            quiet = self._traffic is not None and self._traffic.quiet()
            await asyncio.sleep(0 if quiet else pause_after(spent, self._share))
            begun = thread_time()
