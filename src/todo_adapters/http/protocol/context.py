"""What a request carries through the application: one typed object, made when the request arrives."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from todo_adapters.observability.trace_context import TRACE, ids_of, traceparent
from todo_domain import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from litestar.types import Scope

    from todo_adapters.http.live import Live
    from todo_adapters.http.protocol.answer_memory import AnswerMemory
    from todo_adapters.http.protocol.body import Bodies
    from todo_adapters.http.protocol.transfers import Transfers
    from todo_adapters.observability.trace_context import Trace
    from todo_domain import AuditLog, Caller, TaskService, UserId

CONTEXT: Final = "todo"
"""The one key of ours in an ASGI scope: it leads to the RequestContext."""


class Parts(NamedTuple):
    """What the handlers of `/api` need of the application, the same for every request."""

    tasks: TaskService
    live: Live
    body_limit: int
    batch_limit: int
    bodies: Bodies
    answers: AnswerMemory
    transfers: Transfers
    audit: AuditLog
    spend: Callable[[UserId, int], None]
    """Counts requests of a user, or raises RateLimited and counts none."""


class RequestContext:
    """One request: who sent it as far as that is known, when its answer is due, and what it is called in logs.

    `method` is as it was sent, because HEAD is served as GET. `authorization` holds the value of each `Authorization`
    header. `caller` is there once the token was verified, `route` once the request was routed: the template of the
    path, never the path. A stream or a wait is `listening`.
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
        """Return the place in the trace as it is now: of the current span, else of the caller."""
        return self._trace() if self._trace else traceparent(self._headers)

    def details(self) -> dict[str, str | None]:
        """Return what the audit log is told of the request.

        Of the token only the beginning of its SHA-256, and a subject only once the token was verified. The peer is the
        one that the server reports: behind trusted proxies, the address that they report.
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
        """The tokens of the `Authorization: Bearer` headers: one, if the request is in order."""
        return [token for value in self.authorization if (token := bearer(value)) is not None]

    @property
    def token_digest(self) -> str | None:
        """What tells one token from another; None without one, because another scheme may carry a password."""
        tokens = self.bearer_tokens
        return sha256(tokens[0]).hexdigest()[:12] if tokens else None


def context_of(scope: Scope) -> RequestContext:
    """Return the context that the edge has made for this request."""
    found: RequestContext = scope[CONTEXT]  # type: ignore[typeddict-item]  # ours, beside ASGI's own keys
    return found


def bearer(authorization: bytes) -> bytes | None:
    """Return the token in the value of an `Authorization` header, None for another scheme (RFC 6750, section 2.1)."""
    return authorization[7:].strip(b" ") if authorization[:7].lower() == b"bearer " else None
