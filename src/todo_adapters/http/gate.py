"""The way into `/api`: who is calling, and whether the place they ask for is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from litestar.middleware import ASGIMiddleware

from todo_adapters.http.methods import options_answer
from todo_adapters.http.parameters import path_user
from todo_adapters.http.request import TaskRequest
from todo_domain import TaskService, TokenVerifier, Unauthenticated, UserId
from todo_domain.owner import require_own_place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import ASGIApp, Receive, Scope, Send


class Gate(ASGIMiddleware):
    """Lets authenticated callers through to their own tasks.

    The handler is called right here: what Litestar would do in between (building arguments, building a response)
    costs more than reading a task does, and no handler of `/api` needs it. They run the same without this shortcut.
    """

    def __init__(self, tasks: TaskService, verifier: TokenVerifier, *, body_limit: int) -> None:
        self._tasks = tasks
        self._verifier = verifier
        self._body_limit = body_limit

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:  # noqa: ARG002  see above
        """Serve one request, or raise why it is refused."""
        if scope["method"] == "OPTIONS":  # type: ignore[typeddict-item]  # HTTP only
            await options_answer(scope)(scope, receive, send)
            return
        ours = cast("dict[str, Any]", scope)
        ours["user"] = await authenticate(scope, self._verifier)
        ours["todo.tasks"] = self._tasks
        ours["todo.body_limit"] = self._body_limit
        answer = await ours["route_handler"].fn(TaskRequest(scope, receive, send))
        await answer(scope, receive, send)


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the token of the one `Authorization: Bearer` header (RFC 6750, section 2.1), None if there is no such.

    Raises Unauthenticated for two headers.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) > 1:
        raise Unauthenticated("two_authorizations", "send one Authorization header")
    if not values or values[0][:7].lower() != b"bearer ":
        return None
    return bytes(values[0][7:]).strip(b" ").decode("latin-1")


async def authenticate(scope: Scope, verifier: TokenVerifier) -> UserId:
    """Return who is calling, once they are known and the path is theirs.

    Raises what the verifier does, Unauthenticated without a token, Forbidden for another user's path.
    """
    token = bearer_token(scope["headers"])
    if token is None:
        raise Unauthenticated("no_token", "send a token: Authorization: Bearer <JWT>")
    user = await verifier.verify(token)
    scope["todo.subject"] = user  # type: ignore[typeddict-unknown-key]  # ours, for the audit log
    place = path_user(scope["path_params"]["user_id"])
    if place != "me":
        require_own_place(user, place)
    return user
