"""The current request and its trace, for log lines and spans."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class Trace(NamedTuple):
    """A span of a trace: the ids, as 32 and 16 lower-case hexadecimal digits, and the flags."""

    trace_id: str
    span_id: str
    flags: int


class Served(Protocol):
    """A request, as log lines and spans identify it."""

    request_id: str
    route: str | None
    """The template of its path, once it is routed."""

    def trace(self) -> Trace | None:
        """Return the current span; None without a trace."""


SERVED: Final[ContextVar[Served | None]] = ContextVar("todo.served", default=None)
"""The request that this task serves; set by `Edge`. It is not reset, because the server logs in the task, too."""

TRACE: Final[ContextVar[Callable[[], Trace] | None]] = ContextVar("todo.trace", default=None)
"""Returns the current span, if requests are traced."""

_TRACEPARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_VERSION: Final = b"00"


def traceparent(headers: Iterable[tuple[bytes, bytes]]) -> Trace | None:
    """Return the caller's span; None unless there is one valid `traceparent` (W3C Trace Context, 3.2)."""
    values = [value for name, value in headers if name == b"traceparent"]
    if len(values) != 1 or not (said := _TRACEPARENT.fullmatch(values[0])):
        return None
    version, trace_id, span_id, flags, more = said.groups()
    if version == _VERSION and more is not None:
        return None
    return Trace(trace_id.decode(), span_id.decode(), int(flags, 16))


def ids_of(trace: Trace | None) -> dict[str, str]:
    """Return `trace_id` and `span_id` for a log line; {} without a trace."""
    return {"trace_id": trace.trace_id, "span_id": trace.span_id} if trace else {}


def served() -> dict[str, str]:
    """Return the `request_id` and the trace ids of the current request; {} outside of a request."""
    request = SERVED.get()
    return {} if request is None else {"request_id": request.request_id, **ids_of(request.trace())}
