"""Which refusals are security events, and what is noted of them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from todo_adapters.http.middleware.authentication import bearer
from todo_adapters.http.protocol.errors import RateLimited
from todo_adapters.observability.trace_context import trace_of
from todo_domain import Forbidden, NotFound, NotIsolated, TodoError, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar import Request

    from todo_domain import AuditLog


def note_refusal(audit: AuditLog, request: Request[Any, Any, Any], error: TodoError) -> None:
    """Record a 401, a 403, a 429, a task id that the caller does not have, and a store without its wall; nothing else.

    Of the token only the beginning of its SHA-256 is noted, and a subject only once the token was verified. The peer is
    whoever the server below says: with trusted proxies, the address that these tell of.
    """
    if isinstance(error, Unauthenticated):
        event, reason = "token_refused", error.reason
    elif isinstance(error, Forbidden):
        event, reason = "path_refused", "other_user"
    elif isinstance(error, RateLimited):
        event, reason = "rate_limited", error.reason
    elif isinstance(error, NotIsolated):
        event, reason = "rls_not_in_force", "readiness"
    elif isinstance(error, NotFound):
        event, reason = "task_not_found", "no_such_task"
    else:
        return
    scope = request.scope
    client = scope["client"]
    audit.record(
        event,
        reason=reason,
        request_id=scope["todo.request_id"],  # type: ignore[typeddict-item]  # ours, beside ASGI's own keys
        method=scope["todo.method"],  # type: ignore[typeddict-item]  # as it was sent: HEAD is served as GET
        route=scope.get("path_template"),
        subject=scope.get("todo.subject"),  # type: ignore[arg-type]  # set once the token was verified
        token=_digest(scope["headers"]),
        peer=client[0] if client else None,
        **trace_of(scope),
    )


def _digest(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return what tells one token from another; nothing of another scheme, where it could be a password's."""
    tokens = [token for name, value in headers if name == b"authorization" and (token := bearer(value)) is not None]
    return sha256(tokens[0]).hexdigest()[:12] if tokens else None
