"""The context of a request: one typed object, made when the request arrives."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from todo_adapters.observability.trace_context import TRACE, ids_of, traceparent
from todo_domain import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from litestar.types import Scope

    from todo_adapters.http.live import Live
    from todo_adapters.http.protocol.body import Bodies
    from todo_adapters.http.protocol.pace import Traffic
    from todo_adapters.http.protocol.response_memory import ResponseMemory
    from todo_adapters.http.protocol.transfers import Transfers
    from todo_adapters.observability.trace_context import Trace
    from todo_domain import AuditLog, Caller, TaskService, UserId

CONTEXT: Final = "todo"
"""The key of the RequestContext in an ASGI scope; the only key that this package adds."""


class Parts(NamedTuple):
    """The parts of the application that the handlers of `/api` use, the same for every request."""

    tasks: TaskService
    live: Live
    body_limit: int
    batch_limit: int
    import_limit: int
    bodies: Bodies
    response_memory: ResponseMemory
    transfers: Transfers
    traffic: Traffic
    audit: AuditLog
    spend: Callable[[UserId, int, int], None]
    """Counts a number of requests of a user, or raises RateLimited and counts none."""


class RequestContext:
    """One request: its sender as far as known, its deadline, and its description for logs.

    `method` is the method as sent, because HEAD is served as GET. `authorization` has the value of each `Authorization`
    header. `caller` is set once the token is verified. `route` is set once the request is routed: the template of the
    path, never the path. `listening` is true for a stream or a wait.
    """

    __slots__ = (
        "_headers",
        "_trace",
        "authorization",
        "caller",
        "deadline",
        "listening",
        "method",
        "parts",
        "peer",
        "request_id",
        "route",
    )

    parts: Parts

    def __init__(
        self,
        request_id: str,
        method: str,
        *,
        peer: str | None,
        authorization: list[bytes],
        headers: Iterable[tuple[bytes, bytes]],
    ) -> None:
        self.request_id = request_id
        self.method = method
        self.peer = peer
        self.authorization = authorization
        self.deadline = Deadline.within()
        self.caller: Caller | None = None
        self.route: str | None = None
        self.listening = False
        self._headers = headers
        self._trace = TRACE.get()

    def trace(self) -> Trace | None:
        """Return the current span of the trace, else the caller's span."""
        return self._trace() if self._trace else traceparent(self._headers)

    def details(self) -> dict[str, str | None]:
        """Return the details of the request for the audit log.

        They have only the beginning of the token's SHA-256, and a subject only once the token is verified. The peer is
        the one that the server reports: behind trusted proxies, the address that they report.
        """
        return {
            "request_id": self.request_id,
            "method": self.method,
            "route": self.route,
            "subject": self.caller.user if self.caller else None,
            "token": self.token_digest,
            "peer": self.peer,
            **ids_of(self.trace()),
        }

    @property
    def bearer_tokens(self) -> list[bytes]:
        """The tokens of the `Authorization: Bearer` headers; a valid request has one."""
        return [token for value in self.authorization if (token := bearer(value)) is not None]

    @property
    def token_digest(self) -> str | None:
        """A short digest of the token; None without a Bearer token, because other schemes may carry a password."""
        tokens = self.bearer_tokens
        return sha256(tokens[0]).hexdigest()[:12] if tokens else None


def context_of(scope: Scope) -> RequestContext:
    """Return the context that `Edge` made for this request."""
    found: RequestContext = scope[CONTEXT]  # type: ignore[typeddict-item]  # a key beside ASGI's own
    return found


def bearer(authorization: bytes) -> bytes | None:
    """Return the token in the value of an `Authorization` header, None for another scheme (RFC 6750, section 2.1)."""
    return authorization[7:].strip(b" ") if authorization[:7].lower() == b"bearer " else None
