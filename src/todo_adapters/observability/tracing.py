"""Spans for OpenTelemetry: one for each request, one for each call of the store. Needs the extra `otel`.

The SDK reads its own standard variables (`OTEL_…`): the collector, the sampling, the service's name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from importlib.metadata import version
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.semconv.attributes.db_attributes import DB_OPERATION_NAME, DB_SYSTEM_NAME
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
)
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_VERSION
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION
from opentelemetry.semconv.attributes.url_attributes import URL_SCHEME
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from todo_adapters.observability.calls import Wrapped
from todo_adapters.observability.metrics import METHODS
from todo_adapters.observability.trace_context import SERVED, TRACE, Trace, traceparent
from todo_domain import Tasks, TodoError, Unavailable

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

P = ParamSpec("P")
T = TypeVar("T")

UNTRACED: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Paths that machines request every few seconds, and that are not traced."""

TIMEOUT: Final = 3.0
"""The most seconds that closing waits for the last spans to be sent."""

log = logging.getLogger("todo.tracing")


class Tracing:
    """The spans of one application over a store of this `system` (postgresql, sqlite or memory).

    No span contains a path, a query string, a user id, a token, an address of a client, or a member of a task. A thread
    sends the spans; beyond 2,048 waiting ones (`OTEL_BSP_MAX_QUEUE_SIZE`) they are dropped. So a slow or unreachable
    collector loses spans and does not delay requests. `processor` replaces the exporter. Raises ValueError for a
    variable that the SDK cannot use.
    """

    def __init__(self, system: str, *, processor: SpanProcessor | None = None) -> None:
        named = {SERVICE_NAME: "todo", SERVICE_VERSION: version("todo"), **OTELResourceDetector().detect().attributes}
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("todo", version("todo"), Schemas.V1_44_0.value)
        self._system = system

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the application with a span around each request, within the caller's trace if there is one."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] in UNTRACED:  # type: ignore[comparison-overlap]  # Litestar's enum is of strings
                await app(scope, receive, send)
                return
            ours: Any = scope
            method = ours["method"] if ours["method"] in METHODS else None
            parent = _parent(ours["headers"])
            span = self._tracer.start_span(method or "HTTP", parent, SpanKind.SERVER, _asked(ours, method or "_OTHER"))
            traced_by = TRACE.set(partial(_now, span))
            status = 0

            async def send_on(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            token = attach(set_span_in_context(span, parent))
            try:
                await app(scope, receive, send_on)
            except Exception as error:
                _fail(span, type(error).__qualname__)
                raise
            finally:
                detach(token)
                TRACE.reset(traced_by)
                if (served := SERVED.get()) is not None and (route := served.route) is not None:
                    span.update_name(f"{method or 'HTTP'} {route}")
                    span.set_attribute(HTTP_ROUTE, route)
                if status:
                    span.set_attribute(HTTP_RESPONSE_STATUS_CODE, status)
                if status >= 500:
                    _fail(span, str(status))
                span.end()

        return traced

    def store(self, tasks: Tasks) -> Tasks:
        """Return the store with a span around each call except `check`."""
        return Wrapped(tasks, self.call)

    def call(self, operation: str, call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Return the call with a span around it. Only Unavailable and bugs mark it as failed."""
        attributes = {DB_SYSTEM_NAME: self._system, DB_OPERATION_NAME: operation}

        async def traced(*args: P.args, **kwargs: P.kwargs) -> T:
            span = self._tracer.start_span(operation, None, SpanKind.CLIENT, attributes)
            token = attach(set_span_in_context(span))
            try:
                return await call(*args, **kwargs)
            except Unavailable as outage:
                _fail(span, outage.code)
                raise
            except TodoError:
                raise
            except Exception as bug:
                _fail(span, type(bug).__qualname__)
                raise
            finally:
                detach(token)
                span.end()

        return traced

    async def aclose(self) -> None:
        """Send the remaining spans, for at most TIMEOUT seconds."""
        last = Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        last.start()
        await asyncio.to_thread(last.join, TIMEOUT)
        if last.is_alive():
            log.warning("the last spans are lost: the collector took too long")


def _parent(headers: Iterable[tuple[bytes, bytes]]) -> Context:
    """Return the caller's context, else an empty one, because the task may have begun within another request."""
    said = traceparent(headers)
    if said is None:
        return Context()
    at = SpanContext(int(said.trace_id, 16), int(said.span_id, 16), is_remote=True, trace_flags=TraceFlags(said.flags))
    return set_span_in_context(NonRecordingSpan(at), Context())


def _asked(scope: Any, method: str) -> dict[str, str | int]:  # noqa: ANN401  a scope with keys of ours
    """Return the attributes of a request; the client chooses only the method, the scheme and the version."""
    attributes: dict[str, str | int] = {
        HTTP_REQUEST_METHOD: method,
        URL_SCHEME: scope["scheme"],
        NETWORK_PROTOCOL_VERSION: scope["http_version"],
    }
    if (server := scope.get("server")) is not None:
        attributes[SERVER_ADDRESS] = server[0]
        if server[1] is not None:
            attributes[SERVER_PORT] = server[1]
    return attributes


def _fail(span: Span, error_type: str) -> None:
    span.set_attribute(ERROR_TYPE, error_type)
    span.set_status(StatusCode.ERROR)


def _now(request: Span) -> Trace:
    """Return the current span; without one, the request's span."""
    at = get_current_span().get_span_context()
    if not at.is_valid:
        at = request.get_span_context()
    return Trace(f"{at.trace_id:032x}", f"{at.span_id:016x}", at.trace_flags)
