"""A finished answer: an ASGI application that sends itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

Header = tuple[bytes, bytes]

JSON: Final[Header] = (b"content-type", b"application/json")
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
PRIVATE: Final[Header] = (b"cache-control", b"private, no-cache")

encode = msgspec.json.Encoder().encode
"""Turn a wire struct into JSON."""


class Answer:
    """Status, headers and body of one response; sending it adds `Content-Length` where a body is allowed."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes = b"", headers: list[Header] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = headers or []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  the shape of an ASGI application
        """Send the response."""
        if self.status not in {204, 304}:  # RFC 9110, section 8.6: these two have no content to measure
            self.headers.append((b"content-length", b"%d" % len(self.body)))
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})

    def to_asgi_response(self, *_: object, **__: object) -> Answer:
        """Return itself: what Litestar asks of the answer that an exception handler gives."""
        return self
