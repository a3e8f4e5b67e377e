"""Which pages of other origins may read the answers: the Fetch standard's CORS protocol, for exact origins only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from todo_adapters.http.protocol.response import Header

_ALLOWED: Final = b"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-ID"
_EXPOSED: Final = b"ETag, Link, Location, Retry-After, X-Request-ID, Idempotency-Replayed"
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


class Cors:
    """The configured origins; with none, no header at all."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, origin: bytes | None) -> list[Header]:
        """Return what every answer to a page of this origin carries."""
        if not self._origins:
            return []
        vary = (b"vary", b"Origin")
        if origin not in self._origins or origin is None:
            return [vary]
        return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED), vary]

    def preflight(self, origin: bytes | None) -> list[Header]:
        """Return what the answer to OPTIONS carries besides: what such a page may send."""
        if origin not in self._origins:
            return []
        return [
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _ALLOWED),
            (b"access-control-max-age", b"600"),
        ]
