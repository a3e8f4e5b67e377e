"""The HTTP application: `Edge`, then `Admission`, then `DirectCalls`, then `Authentication`, then a handler.

Litestar serves what `DirectCalls` does not know: public routes, OPTIONS, unknown paths; then `Authentication` is its
middleware.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Litestar
from litestar.exceptions import HTTPException

from todo_adapters.http.endpoints.batch import BatchController
from todo_adapters.http.endpoints.changes import ChangesController
from todo_adapters.http.endpoints.events import EventsController
from todo_adapters.http.endpoints.feed import FeedController, feed_handler
from todo_adapters.http.endpoints.ops import ops_router
from todo_adapters.http.endpoints.portability import EraseController, ExportController, ImportController
from todo_adapters.http.endpoints.tasks import TaskController
from todo_adapters.http.endpoints.trash import TrashController
from todo_adapters.http.live import LEAVE_STREAMS
from todo_adapters.http.middleware.admission import Admission
from todo_adapters.http.middleware.authentication import Authentication
from todo_adapters.http.middleware.cors import Cors
from todo_adapters.http.middleware.direct_calls import DirectCalls
from todo_adapters.http.middleware.edge import Edge
from todo_adapters.http.middleware.refusals import Refusals
from todo_adapters.http.protocol.body import (
    DEFAULT_BATCH_LIMIT,
    DEFAULT_IMPORT_LIMIT,
    DEFAULT_LIMIT,
    DEFAULT_LIMIT_OF_ALL,
    Bodies,
)
from todo_adapters.http.protocol.context import Parts
from todo_adapters.http.protocol.pace import Traffic
from todo_adapters.http.protocol.response_memory import ResponseMemory
from todo_adapters.http.protocol.transfers import Transfers
from todo_adapters.observability.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from litestar.types import ASGIApp

    from todo_adapters.http.live import Live
    from todo_adapters.http.middleware.rate_limit import Rate
    from todo_domain import AuditLog, Tasks, TaskService, TokenVerifier, UserId


def http_application(
    *,
    service: TaskService,
    store: Tasks,
    verifier: TokenVerifier,
    audit: AuditLog,
    live: Live,
    lifespan: Callable[[Litestar], AbstractAsyncContextManager[None]] | None = None,
    cors_origins: Iterable[str] = (),
    body_limit: int = DEFAULT_LIMIT,
    batch_limit: int = DEFAULT_BATCH_LIMIT,
    import_limit: int = DEFAULT_IMPORT_LIMIT,
    bodies_limit: int = DEFAULT_LIMIT_OF_ALL,
    user_rate: Rate | None = None,
    refused_rate: Rate | None = None,
    openapi: bytes | None = None,
    metrics: Metrics | None = None,
    admission: Admission | None = None,
    response_memory: ResponseMemory | None = None,
    erase: bool = True,
    feeds: bool = True,
) -> ASGIApp:
    """Return the ASGI application that keeps the HTTP contract over these parts.

    `lifespan` opens and closes them. `user_rate` limits each verified user, `refused_rate` each address that sends no
    valid token. `body_limit` applies to one request, `batch_limit` to one batch, `import_limit` to one import,
    `bodies_limit` to all bodies held at once, of which one user may hold a part (`Bodies`). `openapi` is the document
    to serve, None to hide it. `metrics` counts, and serves `/metrics`. `admission` limits the work in progress. `live`
    serves streams and waits. `response_memory` limits the memory of responses. Without `erase`, the route that erases a
    user is 404; without `feeds`, the routes of calendar feeds are.
    """
    metrics = metrics or Metrics()
    bodies = Bodies(bodies_limit, max(body_limit, batch_limit, import_limit))
    metrics.body_bytes = lambda: bodies.held
    response_memory = response_memory or ResponseMemory()
    metrics.response_bytes = lambda: response_memory.held

    refusals = Refusals(audit)
    traffic = Traffic()
    parts = Parts(
        service,
        live,
        body_limit,
        batch_limit,
        import_limit,
        bodies,
        response_memory,
        Transfers(),
        traffic,
        audit,
        spend=_uncounted if user_rate is None else user_rate.spend,
    )
    authentication = Authentication(
        parts,
        verifier,
        metrics=metrics,
        user_rate=user_rate,
        refused_rate=refused_rate,
    )
    app = Litestar(
        route_handlers=[
            TaskController,
            BatchController,
            TrashController,
            ChangesController,
            EventsController,
            ExportController,
            ImportController,
            *([EraseController] if erase else []),
            *([FeedController] if feeds else []),
            *([feed_handler(parts, metrics, refused_rate)] if feeds else []),
            ops_router(store, verifier, openapi, metrics),
        ],
        middleware=[authentication],
        lifespan=[*([lifespan] if lifespan else []), metrics.published],
        exception_handlers={Exception: refusals.handle, HTTPException: refusals.handle},  # type: ignore[dict-item]  # ours has the interface of Litestar's Response
        openapi_config=None,
        logging_config=None,
    )
    routed: ASGIApp = DirectCalls(app, authentication)
    if admission is not None:
        routed = admission.before(routed)
    return Edge(routed, refusals, Cors(cors_origins), metrics, traffic, {LEAVE_STREAMS: live.listeners.leave})


def _uncounted(_user: UserId, _requests: int, _counted: int) -> None:
    """Count nothing, because there is no limit."""
