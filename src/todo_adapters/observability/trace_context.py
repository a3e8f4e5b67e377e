"""Which request is being served and which trace it belongs to, for the lines that are written meanwhile."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SERVED: Final[ContextVar[Any]] = ContextVar("todo.served", default=None)
"""The ASGI scope of the request that this task serves; the edge sets it. Not unset: the server logs in the task too."""

TRACE: Final = "todo.trace"
"""The key in a scope under which tracing, where it is on, leaves a function that returns the trace as it is now."""

_TRACEPARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_VERSION: Final = b"00"


class Trace(NamedTuple):
    """A place in a trace: ids in lower-case hexadecimal digits, 32 and 16 of them, and the flags."""

    trace_id: str
    span_id: str
    flags: int


def traceparent(headers: Iterable[tuple[bytes, bytes]]) -> Trace | None:
    """Return where the caller is in their trace; None without one valid `traceparent` (W3C Trace Context, 3.2)."""
    values = [value for name, value in headers if name == b"traceparent"]
    if len(values) != 1 or not (said := _TRACEPARENT.fullmatch(values[0])):
        return None
    version, trace_id, span_id, flags, more = said.groups()
    if version == _VERSION and more is not None:
        return None
    return Trace(trace_id.decode(), span_id.decode(), int(flags, 16))


def trace_of(scope: Any) -> dict[str, str]:  # noqa: ANN401  a scope with keys of ours is no type of Litestar's
    """Return `trace_id` and `span_id` for the lines about a request: the current span's, else the caller's, else {}."""
    current: Callable[[], Trace] | None = scope.get(TRACE)
    trace = current() if current else traceparent(scope["headers"])
    return {"trace_id": trace.trace_id, "span_id": trace.span_id} if trace else {}


def served() -> dict[str, str]:
    """Return `request_id` of the request that is being served, and what `trace_of` does; {} outside of any."""
    scope = SERVED.get()
    return {} if scope is None else {"request_id": scope["todo.request_id"], **trace_of(scope)}
