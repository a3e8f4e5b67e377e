"""The methods of a path: the `Allow` of OPTIONS and of a 405 (RFC 9110, sections 9.3.7 and 15.5.6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from todo_adapters.http.protocol.response import PRIVATE, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import Scope


_WITHOUT_HEAD: Final = re.compile("/api/[^/]+/events")
"""Paths whose GET is an endless stream."""


def has_head(path: str) -> bool:
    """Return whether a path with GET has HEAD, too."""
    return _WITHOUT_HEAD.fullmatch(path) is None


def allow(path: str, methods: Iterable[str]) -> str:
    """Return the value of `Allow` for a path with handlers for these methods; HEAD and OPTIONS are added."""
    named = set(methods) | {"OPTIONS"}
    return ", ".join(sorted(named | {"HEAD"} if "GET" in named and has_head(path) else named))


def options_response(scope: Scope) -> Response:
    """Return the response to OPTIONS on the path that this request was routed to."""
    path = scope["path_template"]
    methods = [
        method for route in scope["litestar_app"].routes if route.path_format == path for method in route.methods
    ]
    return Response(204, headers=[PRIVATE, (b"allow", allow(scope["path"], methods).encode())])
