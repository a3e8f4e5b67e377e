"""What the direct call of a handler would ignore: with it, the application does not start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar.types import Empty

from todo_adapters.http.middleware.authentication import PUBLIC, Authentication

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.handlers import HTTPRouteHandler

_IGNORED: Final = (
    "after_request",
    "after_response",
    "background",
    "before_request",
    "cache",
    "cache_control",
    "dependencies",
    "dto",
    "etag",
    "guards",
    "parameters",
    "response_class",
    "response_cookies",
    "response_headers",
    "return_dto",
)
"""What Litestar applies between routing and a handler, or between a handler and its answer, on any layer."""

_IGNORED_BELOW: Final = (*_IGNORED, "middleware", "request_max_body_size")
"""The same for a controller, a router or a handler; the application has the middleware that calls handlers."""


def require_direct_calls(app: Litestar) -> None:
    """Raise TypeError if a handler of `/api` relies on something that its direct call ignores.

    `Authentication` calls these handlers with the request alone, and must be the last middleware of the application:
    one behind it would not run. A guard that does not run, for example, would let everybody in.
    """
    if not app.middleware or not isinstance(app.middleware[-1], Authentication):
        raise TypeError("Authentication must be the last middleware: what comes behind it does not run")
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if PUBLIC not in handler.opt and "OPTIONS" not in handler.http_methods:
                _check(handler)


def _check(handler: HTTPRouteHandler) -> None:
    where = handler.handler_name
    app, *below = handler.ownership_layers
    for layer, names in [(app, _IGNORED), *((layer, _IGNORED_BELOW) for layer in below)]:
        for name in names:
            if _is_set(getattr(layer, name, None)):
                raise TypeError(f"{where} has {name}, which its direct call would ignore: see Authentication")
    if (taken := set(handler.parsed_fn_signature.parameters)) != {"request"}:
        raise TypeError(f"{where} must take the request alone, not {sorted(taken)}: see Authentication")


def _is_set(value: object) -> bool:
    return bool(value) and value is not Empty
