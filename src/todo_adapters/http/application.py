"""The HTTP application: routes, the gate before them, the edge around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request
from litestar.exceptions import HTTPException

from todo_adapters.http.endpoints.changes import ChangesController
from todo_adapters.http.endpoints.events import EventsController
from todo_adapters.http.endpoints.ops import ops_router
from todo_adapters.http.endpoints.tasks import TaskController
from todo_adapters.http.live import LEAVE_STREAMS
from todo_adapters.http.middleware.admission import Admission
from todo_adapters.http.middleware.audit import note_refusal
from todo_adapters.http.middleware.authentication import Authentication, bearer
from todo_adapters.http.middleware.cors import Cors
from todo_adapters.http.middleware.edge import Edge
from todo_adapters.http.protocol.body import DEFAULT_LIMIT, DEFAULT_LIMIT_OF_ALL, Bodies
from todo_adapters.http.protocol.errors import bug_answer, error_answer, request_id_of, routing_error
from todo_adapters.observability.metrics import Metrics
from todo_domain import TodoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from litestar.types import ASGIApp

    from todo_adapters.http.live import Live
    from todo_adapters.http.middleware.rate_limit import Rate
    from todo_adapters.http.protocol.response import Answer
    from todo_domain import AuditLog, Tasks, TaskService, TokenVerifier


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
    bodies_limit: int = DEFAULT_LIMIT_OF_ALL,
    user_rate: Rate | None = None,
    refused_rate: Rate | None = None,
    openapi: bytes | None = None,
    metrics: Metrics | None = None,
    admission: Admission | None = None,
) -> ASGIApp:
    """Return the ASGI application that keeps the HTTP contract over these parts.

    `lifespan` opens and closes them. `user_rate` limits each verified user, `refused_rate` each address that sends no
    valid token. `body_limit` is for one request, `bodies_limit` for all that are held at once. `openapi` is the
    document to serve, None to hide it. `metrics` counts, and is served. `admission` bounds what is worked on at once.
    `live` serves streams and waits.
    """
    metrics = metrics or Metrics()
    bodies = Bodies(bodies_limit)
    metrics.body_bytes = lambda: bodies.held

    def refuse(request: Request[Any, Any, Any], error: TodoError) -> Answer:
        note_refusal(audit, request, error)
        token_sent = any(
            name == b"authorization" and bearer(value) is not None for name, value in request.scope["headers"]
        )
        return error_answer(
            error, request_id_of(request), token_sent=token_sent, patch=request.scope["method"] == "PATCH"
        )

    def refuse_routing(request: Request[Any, Any, Any], error: HTTPException) -> Answer:
        return refuse(request, routing_error(request.scope["path"], error))

    def admit_bug(request: Request[Any, Any, Any], error: Exception) -> Answer:
        return bug_answer(error, request_id_of(request))

    gate = Authentication(
        service,
        verifier,
        live=live,
        metrics=metrics,
        body_limit=body_limit,
        bodies=bodies,
        user_rate=user_rate,
        refused_rate=refused_rate,
    )
    app = Litestar(
        route_handlers=[
            TaskController,
            ChangesController,
            EventsController,
            ops_router(store, verifier, openapi, metrics),
        ],
        middleware=[gate],
        lifespan=[*([lifespan] if lifespan else []), metrics.told],
        exception_handlers={TodoError: refuse, HTTPException: refuse_routing, Exception: admit_bug},  # type: ignore[dict-item]  # an Answer answers as a Response does
        openapi_config=None,
        logging_config=None,
    )
    routed = admission.before(app) if admission else app
    return Edge(routed, Cors(cors_origins), metrics, {LEAVE_STREAMS: live.listeners.leave})
