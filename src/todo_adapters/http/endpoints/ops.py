"""Routes for operators and tools: health, metrics, the OpenAPI document and its page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from litestar import Request, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.types import ASGIApp

from todo_adapters.http.endpoints import docs
from todo_adapters.http.middleware.authentication import PUBLIC
from todo_adapters.http.middleware.compression import accepts_gzip, gzipped
from todo_adapters.http.protocol.context import context_of
from todo_adapters.http.protocol.response import JSON, NO_STORE, Response, encode
from todo_adapters.http.protocol.schemas import Health
from todo_adapters.observability.metrics import MEDIA_TYPE
from todo_domain import Unavailable

if TYPE_CHECKING:
    from todo_adapters.observability.metrics import Metrics
    from todo_domain import Tasks, TokenVerifier

LEAVING: Final = "todo.leaving"
"""The key that the server sets in its ASGI state when it begins to stop."""


def ops_router(store: Tasks, verifier: TokenVerifier, openapi: bytes | None, metrics: Metrics) -> Router:
    """Return the routes outside `/api`, which need no token. Without `openapi`, the document and its page are 404."""

    @get("/health/live", status_code=200)
    async def live() -> ASGIApp:
        """Answer 200 while the process can answer."""
        return Response(200, encode(Health("live")), [JSON, NO_STORE])

    @get("/health/ready", status_code=200)
    async def ready(request: Request[Any, Any, Any]) -> ASGIApp:
        """Answer 200 if requests can be served; otherwise raise Unavailable with the reason."""
        if LEAVING in request.scope["state"]:
            raise Unavailable("the service is about to stop: ask another instance")
        deadline = context_of(request.scope).deadline
        await store.check(deadline=deadline)
        await verifier.check(deadline=deadline)
        return Response(200, encode(Health("ready")), [JSON, NO_STORE])

    @get("/metrics", status_code=200)
    async def numbers() -> ASGIApp:
        """Serve the metrics."""
        return Response(200, await asyncio.to_thread(metrics.text), [(b"content-type", MEDIA_TYPE.encode()), NO_STORE])

    handlers = [live, ready, numbers]
    return Router("/", route_handlers=handlers if openapi is None else [*handlers, *_docs(openapi)], opt={PUBLIC: True})


def _docs(openapi: bytes) -> list[HTTPRouteHandler]:
    document = [JSON, (b"cache-control", b"no-cache")]
    packed = gzipped(openapi)

    @get("/openapi.json", status_code=200)
    async def contract(request: Request[Any, Any, Any]) -> ASGIApp:
        """Serve the OpenAPI document."""
        if accepts_gzip(request.scope["headers"]):
            return Response(200, packed, [*document, (b"content-encoding", b"gzip")])
        return Response(200, openapi, [*document])

    @get("/", status_code=307)
    async def front() -> ASGIApp:
        """Redirect a person who opens the service's address to the page."""
        return docs.front()

    @get("/docs", status_code=200)
    async def page() -> ASGIApp:
        """Serve the page of the document."""
        return docs.page()

    @get("/docs/{name:str}", status_code=200)
    async def page_file(name: FromPath[str]) -> ASGIApp:
        """Serve a file of the page."""
        return docs.file(name)

    return [contract, front, page, page_file]
