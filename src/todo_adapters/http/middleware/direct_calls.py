"""Direct calls of the handlers of `/api`, through a table made from Litestar's routes at the start."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from litestar.routes import HTTPRoute
from litestar.types import Empty

from todo_adapters.http.middleware.authentication import PUBLIC, Authentication

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from litestar import Litestar
    from litestar.handlers import HTTPRouteHandler
    from litestar.routes import BaseRoute
    from litestar.types import Receive, Scope, Send

    from todo_adapters.http.middleware.authentication import Handler

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
"""The options, on any layer, that Litestar applies between routing and a handler, or between a handler and its
response."""

_IGNORED_BELOW: Final = (*_IGNORED, "middleware", "request_max_body_size")
"""The same for a controller, a router or a handler; only the application may have middleware."""


class Found(NamedTuple):
    """The route of a path and a method: the handler, the template of the path, and the values of its names.

    The values are segments of the path as sent, undecoded.
    """

    handler: Handler
    template: str
    path_params: dict[str, str]


class DirectCalls:
    """An ASGI application before Litestar's, which calls the handlers of `/api` directly.

    Litestar takes longer to find a handler and to prepare its call than it takes to read a task. The table is made
    once, from Litestar's routes, which the controllers declare. Litestar serves the requests that are not in the table:
    public routes, OPTIONS, and unknown paths and methods. Raises TypeError for an application with an option that a
    direct call ignores.
    """

    def __init__(self, app: Litestar, authentication: Authentication) -> None:
        require_direct_calls(app)
        self._app = app
        self._call = authentication.call
        self._shapes: dict[int, list[_Shape]] = {}
        for route in app.routes:
            if isinstance(route, HTTPRoute) and _is_in_table(route, app.routes):
                self._add(route)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, or raise the error that refuses it; pass a lifespan to Litestar."""
        http: Any = scope
        found = self.find(http["method"], http["path"]) if http["type"] == "http" else None
        if found is None:
            return self._app(scope, receive, send)
        handler, http["path_template"], http["path_params"] = found
        return self._call(handler, scope, receive, send)

    def find(self, method: str, path: str) -> Found | None:
        """Return the route of a request with this method and path; None if Litestar must serve it."""
        segments = path.split("/")
        for shape in self._shapes.get(len(segments), ()):
            if (route := shape.routes.get(shape.fixed(segments))) is not None:
                path_params = {}
                for name, at in route.names:
                    path_params[name] = segments[at]
                    if not segments[at]:
                        return None
                handler = route.handlers.get(method)
                return Found(handler, route.template, path_params) if handler else None
        return None

    def _add(self, route: HTTPRoute) -> None:
        handlers: dict[str, Handler] = {method: each.fn for each in _direct(route) for method in each.http_methods}
        if not handlers:
            return
        components = ["", *route.path_components]  # a path begins with a slash
        names = [(part.name, at) for at, part in enumerate(components) if not isinstance(part, str)]
        fixed = tuple(at for at, part in enumerate(components) if isinstance(part, str) and part)
        shapes = self._shapes.setdefault(len(components), [])
        shape = next((each for each in shapes if each.fixed_indexes == fixed), None)
        if shape is None:
            shapes.append(shape := _Shape(fixed, itemgetter(*fixed), {}))
        shape.routes[shape.fixed(components)] = _Route(route.path_format, names, handlers)


class _Route(NamedTuple):
    """The handlers of one path by method; `names` are the template's names with their positions among the segments."""

    template: str
    names: list[tuple[str, int]]
    handlers: dict[str, Handler]


class _Shape(NamedTuple):
    """The routes of one length with fixed segments in the same positions, by these segments, which `fixed` returns."""

    fixed_indexes: tuple[int, ...]
    fixed: Callable[[Sequence[Any]], Any]
    routes: dict[Any, _Route]


def _is_in_table(route: BaseRoute, routes: Iterable[BaseRoute]) -> bool:
    """Return whether a route is in the table: its names accept any text, and no other route has precedence.

    Another route has precedence if it has a fixed segment in the position of a name and equal segments before it:
    Litestar routes every path with that segment to the other one.
    """
    return all(part.type is str for part in route.path_parameters.values()) and not any(
        _goes_before(other.path_components, route.path_components) for other in routes
    )


def _goes_before(other: Iterable[object], own: Iterable[object]) -> bool:
    """Return whether the first differing segment of two routes is fixed in the other route and a name in this one."""
    for theirs, ours in zip(other, own, strict=False):
        if isinstance(theirs, str) != isinstance(ours, str):
            return isinstance(theirs, str)
        if isinstance(theirs, str) and theirs != ours:
            return False
    return False


def _direct(route: HTTPRoute) -> Iterator[HTTPRouteHandler]:
    """Yield the handlers of a route that are called directly."""
    for handler in route.route_handlers:
        if PUBLIC not in handler.opt and "OPTIONS" not in handler.http_methods:
            yield handler


def require_direct_calls(app: Litestar) -> None:
    """Raise TypeError if a handler of `/api` relies on something that its direct call ignores.

    `Authentication` calls these handlers with the request alone. It must be the last middleware of the application,
    because a later one would not run. A guard, for example, would not run either, and so refuse nobody.
    """
    if not app.middleware or not isinstance(app.middleware[-1], Authentication):
        raise TypeError("Authentication must be the last middleware: a later one does not run")
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in _direct(route):
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
