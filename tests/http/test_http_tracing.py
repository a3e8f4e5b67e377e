"""Spans: their names, parents, attributes and errors, and that nothing of a user, a task or a token is in any."""

import asyncio
import json
import logging
import time

import jwt
import pytest
from client import InProcess
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from todo_adapters.memory import MemoryTasks
from todo_adapters.observability.trace_context import served
from todo_adapters.observability.tracing import Tracing
from todo_app.compose import application
from todo_app.settings import read_settings
from todo_domain import Unavailable

SECRET = "a-secret-of-at-least-thirty-two-bytes"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
TASK = "/api/{user_id}/tasks/{key}"


class Traced:
    """The service over a memory store, and its spans so far."""

    def __init__(self, store=None):
        self._spans = InMemorySpanExporter()
        chosen = {"TODO_DATABASE_URL": "memory:", "TODO_JWT_SECRET": SECRET, "TODO_AUDIT_LOG": "/dev/null"}
        tracing = Tracing("sqlite", processor=SimpleSpanProcessor(self._spans))
        settings = read_settings(chosen, environment={})
        self._client = InProcess(application(settings, store=store or MemoryTasks(), tracing=tracing))

    async def __call__(self, method, target, *, sub="ann", seconds=60, headers=(), **how):
        """Send a request in a task of its own, as a server does; return the response and the spans of it."""
        self._spans.clear()
        token = jwt.encode({"sub": sub, "exp": int(time.time()) + seconds}, SECRET, "HS256")
        asking = self._client.request(method, target, token=token, headers=headers, **how)
        response = await asyncio.create_task(asking)
        return response, self.spans

    @property
    def spans(self):
        """The spans that ended since the last request began."""
        return self._spans.get_finished_spans()


@pytest.fixture
def service():
    return Traced()


def failing(error):
    """A store whose reads raise this."""

    class Failing(MemoryTasks):
        async def get(self, *_, **__):
            raise error

    return Failing()


async def test_a_request_is_a_span_named_by_its_route_and_a_call_of_the_store_a_child_named_by_its_operation(service):
    await service("POST", "/api/me/tasks", json={"title": "x"})
    response, (call, request) = await service("GET", "/api/me/tasks/1")
    assert response.status == 200
    assert (request.name, request.kind, request.parent) == (f"GET {TASK}", SpanKind.SERVER, None)
    assert request.attributes == {
        "http.request.method": "GET",
        "http.route": TASK,
        "http.response.status_code": 200,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": 8000,
    }
    assert (call.name, call.kind) == ("get", SpanKind.CLIENT)
    assert call.attributes == {"db.system.name": "sqlite", "db.operation.name": "get"}
    assert call.parent.span_id == request.context.span_id
    assert call.context.trace_id == request.context.trace_id
    assert {span.status.status_code for span in (call, request)} == {StatusCode.UNSET}
    assert request.start_time <= call.start_time <= call.end_time <= request.end_time


async def test_every_call_of_the_store_has_its_name(service):
    names = []
    for method, below, how in (
        ("POST", "tasks", {"json": {"title": "x"}}),
        ("GET", "tasks/1", {}),
        ("GET", "tasks", {}),
        ("PATCH", "tasks/1", {"json": {"title": "y"}}),
        ("PATCH", "tasks/1/complete", {}),
        ("GET", "changes", {}),  # of a few tasks, which are read as a page
        ("GET", "changes?since=1", {}),
        ("DELETE", "tasks/1", {}),
    ):
        _, spans = await service(method, f"/api/me/{below}", **how)
        names.append([span.name for span in spans[:-1]])
    expected = [["create"], ["get"], ["page"], ["get", "replace"], ["toggle"], ["page"], ["changes"], ["delete"]]
    assert names == expected


async def test_a_stream_and_a_wait_are_one_span_each_with_their_reads_as_children(service):
    created, _ = await service("POST", "/api/me/tasks", json={"title": "x"})
    revision = json.loads(created.body)["revision"]
    for below, reads in (
        (f"events?since={revision - 1}", {"page", "changes"}),
        (f"changes?since={revision}&wait=1", {"changes"}),
    ):
        response, (*calls, request) = await service("GET", f"/api/me/{below}", seconds=6)
        assert response.status == 200
        assert request.name == f"GET /api/{{user_id}}/{below.partition('?')[0]}"
        assert request.status.status_code is StatusCode.UNSET
        assert {call.name for call in calls} == reads
        assert {call.parent.span_id for call in calls} == {request.context.span_id}


async def test_a_request_within_a_callers_trace_is_a_child_of_the_callers_span(service):
    for flags, expected in (("01", 2), ("00", 0)):  # by default a trace that the caller does not record is not recorded
        _, spans = await service("GET", "/api/me/tasks", headers=[("traceparent", f"00-{TRACE}-{SPAN}-{flags}")])
        assert len(spans) == expected
        for span in spans:
            assert f"{span.context.trace_id:032x}" == TRACE
        if spans:
            assert f"{spans[-1].parent.span_id:016x}" == SPAN
            assert spans[-1].parent.is_remote


@pytest.mark.parametrize("value", ["00-nonsense", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01"])
async def test_a_malformed_traceparent_begins_a_trace_of_our_own(service, value):
    _, spans = await service("GET", "/api/me/tasks", headers=[("traceparent", value)])
    assert spans[-1].parent is None
    assert f"{spans[-1].context.trace_id:032x}" != TRACE


async def test_a_request_that_begins_within_another_ones_task_is_no_child_of_it():
    class Nested(MemoryTasks):
        async def get(self, *_, **__):
            await service("GET", "/api/me/tasks")
            raise Unavailable("enough")

    service = Traced(Nested())
    _, spans = await service("GET", "/api/me/tasks/1")
    assert [span.name for span in spans if span.parent is None] == ["GET /api/{user_id}/tasks", f"GET {TASK}"]


async def test_what_has_no_route_is_named_by_its_method_and_what_has_no_method_by_neither(service):
    for method, path, name in (
        ("GET", "/nowhere/at-all", "GET"),
        ("GET", "//tasks", "GET"),
        ("PATCH", "/api/me/tasks", "PATCH"),
        ("BREW", "/api/me/tasks", "HTTP"),
    ):
        _, (span,) = await service(method, path)
        assert span.name == name
        assert "http.route" not in span.attributes
        assert span.attributes["http.request.method"] == (method if name != "HTTP" else "_OTHER")


async def test_head_is_told_as_head(service):
    _, spans = await service("HEAD", "/api/me/tasks")
    assert spans[-1].name == "HEAD /api/{user_id}/tasks"


async def test_a_refusal_is_no_error(service):
    response, (call, request) = await service("GET", "/api/me/tasks/999")
    assert (response.status, request.attributes["http.response.status_code"]) == (404, 404)
    for span in (call, request):
        assert span.status.status_code is StatusCode.UNSET
        assert "error.type" not in span.attributes


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [(Unavailable("secret.example is away"), 503, "unavailable"), (KeyError("secret title"), 500, "KeyError")],
)
async def test_an_outage_and_a_bug_are_errors_of_both_spans_and_quote_nothing(error, status, kind):
    response, (call, request) = await Traced(failing(error))("GET", "/api/me/tasks/1")
    assert response.status == status
    assert call.attributes["error.type"] == kind
    assert request.attributes["error.type"] == str(status)
    for span in (call, request):
        assert span.status.status_code is StatusCode.ERROR
        assert not span.events
        assert "secret" not in span.to_json()


async def test_a_response_that_breaks_off_is_an_error_named_by_its_exception():
    spans = InMemorySpanExporter()

    async def breaking_off(_, __, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise OSError("secret")

    app = Tracing("sqlite", processor=SimpleSpanProcessor(spans)).around(breaking_off)
    with pytest.raises(OSError, match="secret"):
        await InProcess(app).request("GET", "/api/me/tasks")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (200, "OSError")
    assert "secret" not in span.to_json()


async def test_a_call_that_is_cancelled_ends_its_spans():
    service = Traced(failing(asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        await service("GET", "/api/me/tasks/1")
    assert [span.name for span in service.spans] == ["get", f"GET {TASK}"]


async def test_no_span_holds_anything_of_a_user_a_task_a_token_or_a_client(service):
    private = {"sub": "secret-user", "headers": [("host", "secret-host"), ("tracestate", "secret=1")]}
    logged = []
    for method, target, how in (
        ("POST", "/api/secret-user/tasks", {"json": {"title": "secret title", "tags": ["secret-tag"]}}),
        ("GET", "/api/secret-user/tasks?q=secret&tag=secret-tag", {}),
        ("GET", "/api/secret-user/tasks/424242", {}),
        ("GET", "/api/another-secret/tasks", {}),
        ("GET", "/secret/path?secret=1", {}),
    ):
        _, spans = await service(method, target, **private, **how)
        logged += [span.to_json() for span in spans]
    assert len(logged) == 8
    for text in logged:
        assert not [word for word in ("secret", "424242", "eyJ", "50000", "127.0.0.1:") if word in text]
        named = json.loads(text)["resource"]["attributes"]
        assert named.pop("service.instance.id")
        assert named.pop("service.version")
        assert named == {
            "service.name": "todo",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": named["telemetry.sdk.version"],
        }


async def test_requests_for_health_and_metrics_make_no_spans(service):
    for path in ("/health/live", "/health/ready", "/metrics"):
        response, spans = await service("GET", path)
        assert (response.status, spans) == (200, ())


async def test_log_lines_name_the_current_span():
    logged = []

    class Telling(MemoryTasks):
        async def get(self, *_, **__):
            logged.append(served())
            raise ZeroDivisionError

    service = Traced(Telling())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.getLogger("todo.http"), "error", lambda *_, **__: logged.append(served()))
        _, (call, request) = await service("GET", "/api/me/tasks/1")
    spans = [(f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}") for span in (call, request)]
    assert [(line["trace_id"], line["span_id"]) for line in logged] == spans


async def test_what_is_logged_after_the_response_names_the_requests_span(service):
    line = {}

    async def ask():
        await service._client.request("GET", "/docs")
        line.update(served())

    await asyncio.create_task(ask())
    (span,) = service.spans
    assert (line["trace_id"], line["span_id"]) == (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}")


async def test_the_operators_name_for_the_service_wins(monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "todo-eu")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=production")
    _, spans = await Traced()("GET", "/docs")
    assert spans[0].resource.attributes["service.name"] == "todo-eu"
    assert spans[0].resource.attributes["deployment.environment.name"] == "production"
