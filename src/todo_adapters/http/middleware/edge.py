"""The outermost layer: the rules for every request and every response."""

from __future__ import annotations

import re
from os import urandom
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from todo_adapters.http.middleware import compression
from todo_adapters.http.middleware.cors import is_preflight
from todo_adapters.http.protocol.context import CONTEXT, RequestContext
from todo_adapters.http.protocol.errors import HeadersTooLarge, NoSuchRoute
from todo_adapters.http.protocol.response import PRIVATE
from todo_adapters.observability.trace_context import SERVED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from todo_adapters.http.middleware.cors import Cors
    from todo_adapters.http.middleware.refusals import Refusals
    from todo_adapters.http.protocol.pace import Traffic
    from todo_adapters.http.protocol.response import Header
    from todo_adapters.observability.metrics import Metrics

HEADER_SECTION_LIMIT: Final = 16_384
"""The most bytes of all headers, each with its colon, space and line end; and of the request target."""

_ID_DIGITS: Final = 24
_IDS_AT_ONCE: Final = 64
_SPARE_IDS: Final[list[str]] = []

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_ONE_SPELLING = re.compile(rb"/|[!-.0-~]*(?:/(?!(?:%2[eE]|\.){1,2}(?:/|$))[!-.0-~]+)*")
"""Paths of ASCII without an empty segment, a dot segment (RFC 3986, section 6.2.2.3), or a slash at the end."""

_NOSNIFF: Final[Header] = (b"x-content-type-options", b"nosniff")
_VARY: Final[dict[tuple[bool, bool], list[Header]]] = {
    (False, False): [],
    (True, False): [(b"vary", b"Origin")],
    (False, True): [(b"vary", compression.VARY)],
    (True, True): [(b"vary", b"Origin, " + compression.VARY)],
}
"""By whether responses depend on the origin, and on the client's accepted encodings."""

_NOTHING_THERE: Final[list[Header]] = [PRIVATE, (b"allow", b"OPTIONS")]


class Edge:
    """An ASGI application around the routed one.

    Gives every request an id and every response the common headers; refuses header sections that are too large and
    alternative spellings of paths; answers HEAD as GET without the body; turns unexpected exceptions into a 500; counts
    and times each response except streams and waits. The path is routed undecoded, so that an encoded slash is not a
    separator. A preflight of a configured origin is 204 on every path. `state` is added to the server's ASGI state at
    the start.
    """

    def __init__(
        self,
        app: ASGIApp,
        refusals: Refusals,
        cors: Cors,
        metrics: Metrics,
        traffic: Traffic,
        state: Mapping[str, object],
    ) -> None:
        self._app = app
        self._refusals = refusals
        self._cors = cors
        self._metrics = metrics
        self._traffic = traffic
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass a lifespan on."""
        if scope["type"] != "http":  # type: ignore[comparison-overlap]  # Litestar's enum is of strings
            await self._app(self._with_state(scope), receive, send)
            return
        begun = self._traffic.latest = perf_counter()
        http: Any = {**scope}  # a copy: the server still needs its own scope, for example to send no body after a HEAD
        context, origin, size = _prepare(http)
        SERVED.set(context)
        common: list[Header] = [(b"x-request-id", context.request_id.encode()), _NOSNIFF, *self._cors.headers(origin)]
        common += vary(self._cors, http["raw_path"])
        preflight = self._preflight(context, origin, http["headers"]) if http["method"] == "OPTIONS" else None
        common += preflight or ()
        headless = context.method == "HEAD"
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status, headless
            if message["type"] == "http.response.start":
                if message["status"] == 404 and preflight:
                    # The page can read the 404 of the next request, but nothing of a failed preflight.
                    message["status"], message["headers"], headless = 204, _NOTHING_THERE, True
                status = message["status"]
                message["headers"] = [*message["headers"], *common]
            elif headless and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        self._metrics.in_flight += 1
        try:
            check_header_section(size)
            _require_one_spelling(http["raw_path"])
            await self._app(http, receive, send_on)
        except Exception as error:
            context.route = http.get("path_template")
            response = self._refusals.response(context, http["path"], error)
            if status:
                raise
            await response(http, receive, send_on)
        finally:
            self._metrics.in_flight -= 1
            self._traffic.latest = ended = perf_counter()
            context.route = http.get("path_template")
            if status and not context.listening:
                self._metrics.responded(context.method, context.route, status, ended - begun)

    def _preflight(self, context: RequestContext, origin: bytes | None, headers: list[Header]) -> list[Header] | None:
        allowed = self._cors.preflight(origin, headers)
        if allowed is None and origin is not None and is_preflight(origin, headers):
            self._refusals.note_origin(context, origin)
        return allowed

    def _with_state(self, scope: Scope) -> Scope:
        if "state" in scope:
            scope["state"].update(self._state)
        return scope


def request_id_from(given: bytes | None) -> str:
    """Return the id that the client has given its request, or a new one if that is missing or not well-formed."""
    return given.decode() if given and _REQUEST_ID.fullmatch(given) else _new_request_id()


def _new_request_id() -> str:
    # Each call of the system releases the interpreter to other threads, so one call gives the bytes of many ids.
    try:
        return _SPARE_IDS.pop()
    except IndexError:
        digits = urandom(_IDS_AT_ONCE * _ID_DIGITS // 2).hex()
        ids = [digits[at : at + _ID_DIGITS] for at in range(0, len(digits), _ID_DIGITS)]
        _SPARE_IDS.extend(ids[1:])
        return ids[0]


def vary(cors: Cors, raw_path: bytes) -> list[Header]:
    """Return the `Vary` of every response of this path, or nothing."""
    return _VARY[cors.varies, compression.varies(raw_path)]


def check_header_section(size: int) -> None:
    """Raise HeadersTooLarge if the headers or the request target are over the limit."""
    if size > HEADER_SECTION_LIMIT:
        raise HeadersTooLarge(f"the headers, and the request target, must be at most {HEADER_SECTION_LIMIT:,} bytes")


def _require_one_spelling(path: bytes) -> None:
    if not _ONE_SPELLING.fullmatch(path):
        raise NoSuchRoute


def below_mount(raw_path: bytes, root_path: str) -> bytes:
    """Return a path without the prefix under which this application is mounted (`root_path` of ASGI), undecoded.

    The prefix may be percent-encoded in any way; the outer application has routed by its decoded form.
    """
    if not root_path:
        return raw_path
    *prefix, rest = raw_path.split(b"/", root_path.count("/") + 1)
    return b"/" + rest if unquote_to_bytes(b"/".join(prefix)) == root_path.encode() else raw_path


def _prepare(scope: dict[str, Any]) -> tuple[RequestContext, bytes | None, int]:
    """Adapt the scope for routing; return the request's context, its `Origin`, and the size of its head.

    `Host` is removed: no code here depends on it, and Litestar would refuse an odd one before the token is verified.
    """
    headers: list[Header] = []
    authorization = []
    size = 0
    request_id = origin = None
    for header in scope["headers"]:
        name, value = header
        size += len(name) + len(value) + 4
        if name == b"host":
            continue
        headers.append(header)
        if name == b"x-request-id":
            request_id = value
        elif name == b"origin":
            origin = value
        elif name == b"authorization":
            authorization.append(value)
    client = scope.get("client")
    context = RequestContext(
        request_id_from(request_id),
        scope["method"],
        peer=client[0] if client else None,
        authorization=authorization,
        headers=headers,
    )
    scope[CONTEXT] = context
    scope["headers"] = headers
    scope["raw_path"] = raw_path = below_mount(scope["raw_path"], scope.get("root_path", ""))
    scope["root_path"] = ""
    scope["path"] = raw_path.decode("latin-1")
    if scope["method"] == "HEAD":
        scope["method"] = "GET"
    return context, origin, max(size, len(scope["raw_path"]) + len(scope["query_string"]))
