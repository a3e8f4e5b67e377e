"""What operators and tools ask for: health, and the contract itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Router, get
from litestar.types import ASGIApp

from todo_adapters.http.answer import JSON, NO_STORE, Answer, encode
from todo_adapters.http.gate import PUBLIC
from todo_adapters.http.wire import Health

if TYPE_CHECKING:
    from todo_domain import Tasks, TokenVerifier


def ops_router(store: Tasks, verifier: TokenVerifier, openapi: bytes | None) -> Router:
    """Return the routes outside `/api`; they need no token. Without `openapi`, the document is not served."""

    @get("/health/live", status_code=200)
    async def live() -> ASGIApp:
        """Answer as long as the process can."""
        return Answer(200, encode(Health("live")), [JSON, NO_STORE])

    @get("/health/ready", status_code=200)
    async def ready() -> ASGIApp:
        """Answer 200 if requests can be served right now; otherwise Unavailable says why not."""
        await store.check()
        await verifier.check()
        return Answer(200, encode(Health("ready")), [JSON, NO_STORE])

    @get("/openapi.json", status_code=200)
    async def contract() -> ASGIApp:
        """Serve the OpenAPI document."""
        return Answer(200, openapi or b"", [JSON, (b"cache-control", b"no-cache")])

    return Router("/", route_handlers=[live, ready] if openapi is None else [live, ready, contract], opt={PUBLIC: True})
