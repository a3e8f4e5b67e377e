"""Gzip (RFC 9110, section 8.4.1.3) for clients that accept it, of lists, changes, exports and the OpenAPI document.

The service compresses instead of the proxy, because a proxy that compresses a task makes its strong `ETag` weak.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import ASGIApp, Receive, Scope, Send

    from todo_adapters.http.protocol.response import Header

SMALLEST: Final = 1_000
"""Bytes. A shorter body is not compressed, because it fits into one packet anyway."""

PIECE: Final = 65_536
"""Bytes that are compressed at once, in half a millisecond; other requests run between two pieces."""

SILENCE: Final = 1.0
"""Seconds without a byte after which zlib must return what it holds: proxies cut a response that is silent for long."""

VARY: Final = b"Accept-Encoding"

_VARIES: Final = re.compile(rb"/api/[^/]+/(?:tasks|changes|trash|export)|/openapi\.json")

_LEVEL: Final = 1
"""The level of zlib. It shrinks a list of 20 tasks to a quarter in 36 µs; the default level 6 takes 66 µs for 4%
less."""

_GZIP: Final = 16 + zlib.MAX_WBITS
_ELEMENT: Final = re.compile(
    rb"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)


def varies(raw_path: bytes) -> bool:
    """Return whether responses of this path depend on `Accept-Encoding`, also when one is not compressed."""
    return _VARIES.fullmatch(raw_path) is not None


def accepts_gzip(headers: Iterable[Header]) -> bool:
    """Return whether the `Accept-Encoding` of a request prefers gzip to no encoding (RFC 9110, section 12.5.3)."""
    values = [value for name, value in headers if name == b"accept-encoding"]
    return bool(values) and _prefers_gzip(b",".join(values))


def gzipped(body: bytes) -> bytes:
    """Return a body in gzip at the highest level, for a body that is kept and sent often."""
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    return packer.compress(body) + packer.flush()


class Compressed:
    """A response that is sent in gzip if the client accepts gzip over HTTP/1.1 and the body has SMALLEST bytes or more.

    The inner response may send its body in pieces; each is compressed before the next one is awaited. What zlib holds
    is sent when it is a block, or after SILENCE.
    A body of at most PIECE bytes keeps its `Content-Length`.
    """

    __slots__ = ("_response",)

    def __init__(self, response: ASGIApp) -> None:
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        # The length of what is compressed in pieces is not known, and HTTP/1.0 has no chunked coding.
        packed = accepts_gzip(scope["headers"]) and scope["http_version"] != "1.0"
        await self._response(scope, receive, _Packer(send) if packed else send)


class _Packer:
    """Compresses a response piece by piece, once it has SMALLEST bytes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Any = None
        self._held = b""
        self._packer: Any = None
        self._sent = 0.0

    async def __call__(self, message: Any) -> None:  # noqa: ANN401  an ASGI message
        """Handle one message of the response."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        body, more = self._held + message.get("body", b""), message.get("more_body", False)
        if self._start is None:
            await self._pack(body, more=more)
        elif len(body) >= SMALLEST:
            await self._begin(body, more=more)
        elif more:
            self._held = body
        else:
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _begin(self, body: bytes, *, more: bool) -> None:
        start, self._start, self._held = self._start, None, b""
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        start["headers"] = [header for header in start["headers"] if header[0] != b"content-length"]
        start["headers"].append((b"content-encoding", b"gzip"))
        if more or len(body) > PIECE:
            await self._send(start)
            await self._pack(body, more=more)
            return
        packed = self._packer.compress(body) + self._packer.flush()
        start["headers"].append((b"content-length", b"%d" % len(packed)))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": packed, "more_body": False})

    async def _pack(self, body: bytes, *, more: bool) -> None:
        for offset in range(0, len(body), PIECE):
            packed = self._packer.compress(memoryview(body)[offset : offset + PIECE])
            if not packed and perf_counter() - self._sent > SILENCE:
                packed = self._packer.flush(zlib.Z_SYNC_FLUSH)
            if packed:
                await self._send({"type": "http.response.body", "body": packed, "more_body": True})
                self._sent = perf_counter()
            await asyncio.sleep(0)
        if not more:
            await self._send({"type": "http.response.body", "body": self._packer.flush(), "more_body": False})


@lru_cache(256)  # a client sends the same value each time
def _prefers_gzip(accepted: bytes) -> bool:
    weights: dict[bytes, float] = {}
    for element in accepted.lower().split(b","):
        if match := _ELEMENT.fullmatch(element):
            weights[match[1].removeprefix(b"x-")] = float(match[2] or 1)
    gzip = weights.get(b"gzip", weights.get(b"*", 0.0))
    return gzip > 0 and gzip >= weights.get(b"identity", 0.0)
