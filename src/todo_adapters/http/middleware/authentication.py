"""Authentication of requests to `/api`: verifies the token, and that the path belongs to its user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar.middleware import ASGIMiddleware

from todo_adapters.http.protocol.context import bearer, context_of
from todo_adapters.http.protocol.errors import MethodNotAllowed
from todo_adapters.http.protocol.methods import allow, has_head, options_response
from todo_adapters.http.protocol.parameters import path_user
from todo_adapters.http.protocol.request import TaskRequest
from todo_domain import Caller, TokenVerifier, Unauthenticated, Unavailable, UserId
from todo_domain.owner import require_own_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from litestar.types import ASGIApp, Receive, Scope, Send

    from todo_adapters.http.middleware.rate_limit import Rate
    from todo_adapters.http.protocol.context import Parts, RequestContext
    from todo_adapters.observability.metrics import Metrics

    Handler = Callable[[TaskRequest], Awaitable[ASGIApp]]
    """A handler of `/api`."""

PUBLIC: Final = "public"
"""The option that marks a route which needs no token."""


class Authentication(ASGIMiddleware):
    """Calls the handlers of `/api` for authenticated callers whose path is their own.

    It calls a handler directly: Litestar's work in between (building arguments, building a response) costs more than
    reading a task, and no handler needs it. As a middleware of Litestar it also answers OPTIONS, and passes public
    routes on.

    It belongs to the application, not to a router, because Litestar deep-copies a router, including the stores.

    `user_rate` limits the requests of each verified user, `refused_rate` the requests without a valid token from each
    address; None is no limit.
    """

    def __init__(
        self,
        parts: Parts,
        verifier: TokenVerifier,
        *,
        metrics: Metrics,
        user_rate: Rate | None = None,
        refused_rate: Rate | None = None,
    ) -> None:
        self._parts = parts
        self._verifier = verifier
        self._metrics = metrics
        self._user_rate = user_rate
        self._refused_rate = refused_rate

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Serve a request that Litestar has routed, or raise the error that refuses it."""
        if scope["method"] == "OPTIONS":  # type: ignore[typeddict-item]  # HTTP only
            await options_response(scope)(scope, receive, send)
            return
        handler: Any = scope["route_handler"]
        if PUBLIC in handler.opt:
            await next_app(scope, receive, send)
        else:
            await self.call(handler.fn, scope, receive, send)

    async def call(self, handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request with this handler, or raise the error that refuses it."""
        context = context_of(scope)
        if context.method == "HEAD" and not has_head(scope["path"]):
            raise MethodNotAllowed(allow(scope["path"], ["GET"]))
        context.caller = caller = await self._verified(context)
        if self._user_rate is not None:
            self._user_rate.spend(caller.user)
        require_path_user(caller.user, scope)
        context.parts = self._parts
        request = TaskRequest(scope, receive, send)
        try:
            response = await handler(request)
        finally:
            request.release_body()
        await response(scope, receive, send)

    async def _verified(self, context: RequestContext) -> Caller:
        try:
            caller = await self._verifier.verify(bearer_token(context), deadline=context.deadline)
        except Unauthenticated as refused:
            self._metrics.called(refused.reason)
            if self._refused_rate is not None:
                self._refused_rate.spend_address(context.peer)
            raise
        except Unavailable as outage:
            self._metrics.called(outage.code)
            raise
        self._metrics.called("ok")
        return caller


def bearer_token(context: RequestContext) -> str:
    """Return the token of the one `Authorization: Bearer` header, or raise Unauthenticated."""
    if len(context.authorization) > 1:
        raise Unauthenticated("two_authorizations", "send one Authorization header")
    token = bearer(context.authorization[0]) if context.authorization else None
    if token is None:
        raise Unauthenticated("no_token", "send a token: Authorization: Bearer <JWT>")
    return token.decode("latin-1")


def require_path_user(user: UserId, scope: Scope) -> None:
    """Raise Forbidden unless the path is this user's."""
    named = path_user(scope["path_params"]["user_id"])
    if named != "me":
        require_own_path(user, named)
