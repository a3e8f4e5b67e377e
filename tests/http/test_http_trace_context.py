"""Log and audit lines about a request say which one, and which trace of the caller's it belongs to."""

import asyncio
import io
import json
import logging
import sys

import pytest
from apis import in_memory

from support.recorded_events import RecordedEvents
from todo_adapters.memory import MemoryTasks
from todo_app.logs import configure_logging
from todo_app.settings import read_settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"

log = logging.getLogger("todo.store")


def within(trace=TRACE, span=SPAN):
    """The header of a request within this trace."""
    return [("traceparent", f"00-{trace}-{span}-01")]


class Talking(MemoryTasks):
    """A store that warns of each read, once others had their turn."""

    async def get(self, *_, **__):
        await asyncio.sleep(0)
        log.warning("this took long")
        raise ZeroDivisionError


@pytest.fixture
def written(monkeypatch):
    """The log as the service writes it, each line read as JSON."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(read_settings({"TODO_LOG_FORMAT": "json"}, environment={}))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def api():
    with in_memory(store=Talking()) as api:
        yield api


async def ask(api, request_id, *headers):
    """Send a request in a task of its own, as a server does, for something that is logged."""
    target, token = "/api/me/tasks/1", api.token("ann")
    sending = api.bare.request("GET", target, token=token, headers=[("x-request-id", request_id), *headers])
    assert (await asyncio.create_task(sending)).status == 500


async def test_every_line_about_a_request_names_it_and_the_callers_trace(api, written):
    await ask(api, "r1", *within())
    await ask(api, "r2")
    log.warning("about nobody")
    named = [(line["message"], line.get("request_id"), line.get("trace_id"), line.get("span_id")) for line in written()]
    assert named == [
        ("this took long", "r1", TRACE, SPAN),
        ("unexpected ZeroDivisionError", "r1", TRACE, SPAN),
        ("this took long", "r2", None, None),
        ("unexpected ZeroDivisionError", "r2", None, None),
        ("about nobody", None, None, None),
    ]


async def test_requests_at_the_same_time_keep_apart(api, written):
    traces = {f"r{number}": f"{number + 1:032x}" for number in range(50)}
    await asyncio.gather(*(ask(api, name, *within(trace)) for name, trace in traces.items()))
    logged = [(line["request_id"], line["trace_id"]) for line in written()]
    assert len(logged) == 100
    assert set(logged) == set(traces.items())


async def test_nothing_that_a_client_sends_breaks_or_forges_a_line(api, written):
    forged = '","level":"forged'
    for value in (forged, f"00-{TRACE}-{SPAN}-01{forged}", f"00-{TRACE}-{SPAN}-01\n{{}}", "\x1b[2J" * 99, "é"):
        await ask(api, value, ("traceparent", value.encode()))
    assert len(written()) == 10
    for line in written():
        assert line["level"] in {"warning", "error"}
        assert line["request_id"].isalnum()
        assert not {"trace_id", "span_id"} & line.keys()


async def test_the_audit_log_names_the_callers_trace_if_there_is_one():
    recorded = RecordedEvents()
    with in_memory(audit=recorded) as api:
        await api.request("GET", "/api/me/tasks", headers=within())
        await api.request("GET", "/api/me/tasks", headers=[("traceparent", "00-nonsense")])
    assert (recorded.events[0]["trace_id"], recorded.events[0]["span_id"]) == (TRACE, SPAN)
    assert not {"trace_id", "span_id"} & recorded.events[1].keys()
