"""Tracing of real processes: what a collector gets, that its absence costs no request, and that off means off."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

import pytest

from servers.collector import Collector
from servers.processes import free_port
from servers.todo import Served, environment
from todo_app.compose import tracing_of
from todo_app.settings import BadSetting, read_settings

SECRET = "0123456789abcdef0123456789abcdef"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
LIST = "/api/{user_id}/tasks"


def lines(served):
    """What the service logged."""
    return [json.loads(line) for line in served.process.stderr.splitlines() if line.startswith("{")]


def attributes(span):
    """The attributes of a span as they came."""
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@dataclass
class Life:
    """What a collector got of a create and of a refused list, and what the service logged."""

    served: Served
    call: object
    request: object
    refused: object
    service: str
    raw: bytes


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    """One service, whose `.env` file names the collector."""
    directory = tmp_path_factory.mktemp("traced")
    with Collector() as collector:
        (directory / ".env").write_text(
            f"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={collector.endpoint}/v1/traces\nOTEL_BSP_SCHEDULE_DELAY=50\n"
        )
        with Served(directory, TODO_JWT_SECRET=SECRET) as served:
            within = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
            path, token = "/api/secret-user/tasks", served.token("secret-user")
            assert served.request("POST", path, token, {"title": "secret title"}, within).status == 201
            served.process.wait_until(lambda: len(collector.spans) == 2)
            assert served.request("GET", "/api/me/tasks", "no.real.token").status == 401
            served.process.wait_until(lambda: len(collector.spans) == 3)
        (resource, call), (_, request), (_, refused) = collector.spans
        return Life(served, call, request, refused, resource["service.name"], collector.raw)


def test_a_collector_gets_the_spans_of_a_request_with_nothing_private_in_them(life):
    call, request = life.call, life.request
    assert (request.name, request.kind) == (f"POST {LIST}", request.SPAN_KIND_SERVER)
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, SPAN)
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": LIST,
        "http.response.status_code": 201,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": life.served.port,
    }
    assert (call.name, call.kind) == ("create", call.SPAN_KIND_CLIENT)
    assert (call.trace_id.hex(), call.parent_span_id) == (TRACE, request.span_id)
    assert attributes(call) == {"db.system.name": "sqlite", "db.operation.name": "create"}
    assert life.service == "todo"
    assert b"secret" not in life.raw
    assert not [line for line in lines(life.served) if line.get("level") in {"warning", "error"}]


def test_audit_lines_name_the_span_that_the_collector_got(life):
    (line,) = [line for line in lines(life.served) if line.get("event") == "token_refused"]
    assert (line["trace_id"], line["span_id"]) == (life.refused.trace_id.hex(), life.refused.span_id.hex())


@pytest.mark.parametrize("away", ["refusing", "silent"])
def test_a_collector_that_is_away_costs_no_request_and_few_lines(tmp_path, away):
    with Collector() as collector:
        collector.answering.clear()
        endpoint = collector.endpoint if away == "silent" else f"http://127.0.0.1:{free_port()}"
        settings = {
            "TODO_JWT_SECRET": SECRET,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{endpoint}/?key=hidden",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_BSP_MAX_QUEUE_SIZE": "20",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
        }
        with Served(tmp_path, **settings) as served:
            token = served.token("ann")

            def took(_):
                begun = time.perf_counter()
                assert served.request("GET", "/api/me/tasks", token).status == 200
                return time.perf_counter() - begun

            with ThreadPoolExecutor(4) as four:
                times = list(four.map(took, range(100)))
            complaints = [line for line in lines(served) if line.get("logger", "").startswith("opentelemetry")]
            begun = time.monotonic()
            assert served.process.stop(signal.SIGTERM) == 0
            assert time.monotonic() - begun < 6
        assert median(times) < 0.5
        assert max(times) < 5  # not even the first second of its retries, or one of its timeouts of ten
        assert 1 <= len(complaints) <= 4
        assert "hidden" not in served.process.stderr


OFF = [
    {},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": " ", "OTEL_SERVICE_NAME": "todo"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "TRUE"},
    {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"},
]


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported_by_us(tmp_path):
    """Litestar looks whether it is there, and for that imports the names of some attributes."""
    program = f"""if True:
        import os, sys
        from todo_app.compose import from_environment
        for given in {OFF}:
            os.environ.update(given)
            app = from_environment()
            assert type(app).__name__ == "Edge", (given, app)
            found = {{name for name in sys.modules if name.startswith("opentelemetry.") and ".semconv" not in name}}
            assert not found, (given, found)
            for name in given:
                del os.environ[name]
    """
    settings = {"TODO_JWT_SECRET": SECRET, "TODO_AUDIT_LOG": "audit.log"}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=tmp_path, env=environment(**settings))


def test_an_endpoint_without_the_extra_is_one_sentence_that_says_how_to_mend_it(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    for name in [
        name for name in sys.modules if name.startswith(("opentelemetry.", "todo_adapters.observability.tracing"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    settings = read_settings({}, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    assert tracing_of(settings) is None
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "nothing is traced, because OpenTelemetry is not installed: pip install 'todo[otel]'"


def test_a_variable_that_the_sdk_cannot_use_stops_the_start_with_one_sentence(monkeypatch):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    settings = read_settings({}, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    with pytest.raises(BadSetting, match=r"^one of the OTEL_ variables cannot be used: max_queue_size must be"):
        tracing_of(settings)
