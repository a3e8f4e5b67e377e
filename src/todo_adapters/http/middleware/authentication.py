"""The way into `/api`: who is calling, and whether the place they ask for is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar.middleware import ASGIMiddleware

from todo_adapters.http.protocol.errors import MethodNotAllowed
from todo_adapters.http.protocol.methods import allow, has_head, options_answer
from todo_adapters.http.protocol.parameters import path_user
from todo_adapters.http.protocol.request import TaskRequest
from todo_domain import Caller, TaskService, TokenVerifier, Unauthenticated, Unavailable, UserId
from todo_domain.owner import require_own_place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import ASGIApp, Receive, Scope, Send

    from todo_adapters.http.live import Live
    from todo_adapters.http.middleware.rate_limit import Rate
    from todo_adapters.http.protocol.body import Bodies
    from todo_adapters.observability.metrics import Metrics

PUBLIC: Final = "public"
"""The option of a route that needs no token."""


class Authentication(ASGIMiddleware):
    """Answers OPTIONS, passes public routes on, and lets authenticated callers through to their own tasks.

    The handler is called right here: what Litestar would do in between (building arguments, building a response)
    costs more than reading a task does, and no handler of `/api` needs it. They run the same without this shortcut.

    It belongs to the application, not to a router: Litestar copies a router with all that hangs on it, stores included.

    `user_rate` counts the requests of each verified user, `refused_rate` those without a valid token of each address;
    None counts nothing.
    """

    def __init__(
        self,
        tasks: TaskService,
        verifier: TokenVerifier,
        *,
        live: Live,
        metrics: Metrics,
        body_limit: int,
        bodies: Bodies,
        user_rate: Rate | None = None,
        refused_rate: Rate | None = None,
    ) -> None:
        self._tasks = tasks
        self._verifier = verifier
        self._live = live
        self._metrics = metrics
        self._body_limit = body_limit
        self._bodies = bodies
        self._user_rate = user_rate
        self._refused_rate = refused_rate

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Serve one request, or raise why it is refused."""
        if scope["method"] == "OPTIONS":  # type: ignore[typeddict-item]  # HTTP only
            await options_answer(scope)(scope, receive, send)
            return
        if scope["todo.method"] == "HEAD" and not has_head(scope["path"]):  # type: ignore[typeddict-item]  # ours
            raise MethodNotAllowed(allow(scope["path"], ["GET"]))
        if PUBLIC in scope["route_handler"].opt:
            await next_app(scope, receive, send)
            return
        ours: Any = scope
        caller = await self._caller(scope)
        ours["user"], ours["todo.expires_at"] = caller
        if self._user_rate is not None:
            self._user_rate.spend(caller.user)
        require_place(caller.user, scope)
        ours["todo.tasks"] = self._tasks
        ours["todo.live"] = self._live
        ours["todo.body_limit"] = self._body_limit
        ours["todo.bodies"] = self._bodies
        request = TaskRequest(scope, receive, send)
        try:
            answer = await ours["route_handler"].fn(request)
        finally:
            request.release_body()
        await answer(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        try:
            caller = await authenticate(scope, self._verifier)
        except Unauthenticated as refused:
            self._metrics.called(refused.reason)
            if self._refused_rate is not None:
                client = scope["client"]
                self._refused_rate.spend_address(client[0] if client else None)
            raise
        except Unavailable as outage:
            self._metrics.called(outage.code)
            raise
        self._metrics.called("ok")
        return caller


def bearer(authorization: bytes) -> bytes | None:
    """Return the token in the value of an `Authorization` header, None for another scheme (RFC 6750, section 2.1)."""
    return authorization[7:].strip(b" ") if authorization[:7].lower() == b"bearer " else None


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the token of the one `Authorization: Bearer` header, or raise Unauthenticated."""
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) > 1:
        raise Unauthenticated("two_authorizations", "send one Authorization header")
    token = bearer(values[0]) if values else None
    if token is None:
        raise Unauthenticated("no_token", "send a token: Authorization: Bearer <JWT>")
    return token.decode("latin-1")


async def authenticate(scope: Scope, verifier: TokenVerifier) -> Caller:
    """Return the caller. Raises what the verifier does, and Unauthenticated without a token."""
    caller = await verifier.verify(bearer_token(scope["headers"]))
    scope["todo.subject"] = caller.user  # type: ignore[typeddict-unknown-key]  # ours, for the audit log
    return caller


def require_place(user: UserId, scope: Scope) -> None:
    """Raise Forbidden unless the path is this user's."""
    place = path_user(scope["path_params"]["user_id"])
    if place != "me":
        require_own_place(user, place)
