"""CORS (Fetch standard): which pages of other origins may read the responses, by exact origin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from todo_adapters.http.protocol.response import Header

LONGEST_ECHO: Final = 2_048
"""The most bytes of header names with separators that a preflight allows."""

_EXPOSED: Final = (
    b"ETag, Link, Location, Retry-After, X-Request-ID, "
    b"Idempotency-Replayed, WWW-Authenticate, Content-Disposition, Date"
)
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_MAX_AGE: Final = b"7200"
"""Seconds for which a browser caches a preflight; Chromium's maximum."""

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A field name (RFC 9110, section 5.1)."""


class Cors:
    """The CORS headers for the configured origins, which are spelt as browsers serialise them."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    @property
    def varies(self) -> bool:
        """Whether responses depend on `Origin`."""
        return bool(self._origins)

    def headers(self, origin: bytes | None) -> list[Header]:
        """Return the CORS headers of every response to a page of this origin, without `Vary`."""
        if origin not in self._origins or origin is None:
            return []
        return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED)]

    def preflight(self, origin: bytes | None, headers: Sequence[Header]) -> list[Header] | None:
        """Return the additional headers of the response to a preflight; None if the request is not a preflight.

        A page of a configured origin may use every method and send every header with a well-formed name, because the
        token is the protection, and a list of headers is not.
        """
        if origin not in self._origins or not is_preflight(origin, headers):
            return None
        asked = b",".join(value for name, value in headers if name == b"access-control-request-headers")
        allowed = [(b"access-control-allow-methods", _METHODS), (b"access-control-max-age", _MAX_AGE)]
        if names := _well_formed(asked):
            allowed.append((b"access-control-allow-headers", names))
        return allowed


def is_preflight(origin: bytes | None, headers: Iterable[Header]) -> bool:
    """Return whether an OPTIONS of this origin with these headers is a browser's preflight."""
    return bool(origin) and any(name == b"access-control-request-method" and value for name, value in headers)


def _well_formed(names: bytes) -> bytes:
    """Return the well-formed names of a list, up to LONGEST_ECHO bytes of them."""
    found = b", ".join(name for each in names.split(b",") if _NAME.fullmatch(name := each.strip(b" \t")))
    return found if len(found) <= LONGEST_ECHO else found[: LONGEST_ECHO + 1].rpartition(b",")[0]
