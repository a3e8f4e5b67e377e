"""Which refusals are security events, and what is noted of them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from todo_domain import Forbidden, NotFound, TodoError, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar import Request

    from todo_domain import AuditLog


def note_refusal(audit: AuditLog, request: Request[Any, Any, Any], error: TodoError) -> None:
    """Record a refused token, a refused path, and a task id that the caller does not have; nothing else."""
    if isinstance(error, Unauthenticated):
        event, reason = "token_refused", error.reason
    elif isinstance(error, Forbidden):
        event, reason = "path_refused", "other_user"
    elif isinstance(error, NotFound):
        event, reason = "task_not_found", "no_such_task"
    else:
        return
    scope = request.scope
    client = scope.get("client")
    audit.record(
        event,
        reason=reason,
        request_id=scope["todo.request_id"],  # type: ignore[typeddict-item]  # ours, beside ASGI's own keys
        method=scope["method"],
        route=scope.get("path_template"),
        subject=scope.get("todo.subject"),  # type: ignore[arg-type]  # set once the token was verified
        token=_digest(scope["headers"]),
        peer=client[0] if client else None,
    )


def _digest(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    sent = [value for name, value in headers if name == b"authorization"]
    return sha256(sent[0].partition(b" ")[2]).hexdigest()[:12] if sent else None
