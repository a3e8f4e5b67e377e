"""Turns every error raised within the application into its response: refusals, unknown routes and bugs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar.exceptions import HTTPException

from todo_adapters.http.protocol.context import RequestContext, context_of
from todo_adapters.http.protocol.errors import (
    NoSuchFeed,
    RateLimited,
    RequestFacts,
    bug_response,
    error_response,
    routing_error,
)
from todo_domain import Forbidden, NotFound, NotIsolated, OperationFailed, TodoError, Unauthenticated

if TYPE_CHECKING:
    from litestar import Request

    from todo_adapters.http.protocol.response import Response
    from todo_domain import AuditLog


class Refusals:
    """Turns an error into its response, and records security events in the audit log."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    def handle(self, request: Request[Any, Any, Any], error: Exception) -> Response:
        """Return the response to an error; this is Litestar's exception handler."""
        context = context_of(request.scope)
        context.route = request.scope.get("path_template")
        return self.response(context, request.scope["path"], error)

    def response(self, context: RequestContext, path: str, error: Exception) -> Response:
        """Return the response to a request on this path that raised this error."""
        if isinstance(error, HTTPException):
            error = routing_error(path, error)
        if not isinstance(error, TodoError):
            return bug_response(error, context.request_id)
        self._note(context, error.error if isinstance(error, OperationFailed) else error)
        facts = RequestFacts(token_sent=bool(context.bearer_tokens), patch=context.method == "PATCH")
        return error_response(error, context.request_id, facts)

    def note_origin(self, context: RequestContext, origin: bytes) -> None:
        """Record a preflight of an origin that is not configured: its page reports the refusal in the browser only."""
        self._audit.record(
            "origin_refused", reason="not_configured", origin=origin.decode("latin-1"), **context.details()
        )

    def _note(self, context: RequestContext, error: TodoError) -> None:
        """Record a 401, 403, 429, a missing task or feed, and row-level security that is not in force."""
        if isinstance(error, Unauthenticated | NoSuchFeed):
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
        self._audit.record(event, reason=reason, **context.details())
