"""Which methods a path has: what OPTIONS and a 405 say in `Allow` (RFC 9110, sections 9.3.7 and 15.5.6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from todo_adapters.http.protocol.response import PRIVATE, Answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import Scope


_WITHOUT_HEAD: Final = re.compile("/api/[^/]+/events")
"""Paths whose GET never ends by itself."""


def has_head(path: str) -> bool:
    """Return whether HEAD is answered on this path where GET is."""
    return _WITHOUT_HEAD.fullmatch(path) is None


def allow(path: str, methods: Iterable[str]) -> str:
    """Return the value of `Allow` for a path with handlers for these methods: HEAD and OPTIONS come by themselves."""
    named = set(methods) | {"OPTIONS"}
    return ", ".join(sorted(named | {"HEAD"} if "GET" in named and has_head(path) else named))


def options_answer(scope: Scope) -> Answer:
    """Return the answer to OPTIONS on the path that this request was routed to."""
    path = scope["path_template"]
    methods = [
        method for route in scope["litestar_app"].routes if route.path_format == path for method in route.methods
    ]
    return Answer(204, headers=[PRIVATE, (b"allow", allow(scope["path"], methods).encode())])
