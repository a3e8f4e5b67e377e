"""W3C Trace Context, section 3.2: which `traceparent` is one, and what a log line is told of a request."""

import io
import json
import logging

import pytest

from todo_adapters.http.protocol.context import RequestContext
from todo_adapters.observability.trace_context import SERVED, Trace, ids_of, served, traceparent
from todo_adapters.observability.trace_context import TRACE as CURRENT
from todo_app import logs
from todo_app.logs import JsonLines, OfRequest, Seldom

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"


def sent(*values):
    """The headers of a request with these `traceparent`s."""
    return [(b"accept", b"*/*"), *((b"traceparent", value.encode("latin-1")) for value in values)]


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (VALID, 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-ff", 255),
        (f"cc-{TRACE}-{SPAN}-03", 3),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", 1),
    ],
)
def test_a_valid_traceparent_is_taken_as_it_is(value, flags):
    assert traceparent(sent(value)) == Trace(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        VALID.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00_{TRACE}_{SPAN}_01",
        f'00-{TRACE}-{SPAN}-01","level":"forged',
        f"{VALID},{VALID}",
        "é" * 55,
    ],
)
def test_any_other_traceparent_counts_as_none(value):
    assert traceparent(sent(value)) is None


def test_two_traceparents_are_none():
    assert traceparent(sent(VALID, VALID)) is None
    assert traceparent(sent()) is None


def context(headers):
    return RequestContext("r1", "GET", peer=None, authorization=[], headers=headers)


def test_a_request_in_no_trace_has_only_its_id_and_outside_of_a_request_there_is_nothing():
    assert served() == {}
    token = SERVED.set(context(sent()))
    try:
        assert served() == {"request_id": "r1"}
        SERVED.set(context(sent(VALID)))
        assert served() == {"request_id": "r1", "trace_id": TRACE, "span_id": SPAN}
    finally:
        SERVED.reset(token)


def test_where_requests_are_traced_the_current_span_counts():
    at = Trace("a" * 32, "b" * 16, 1)
    token = CURRENT.set(lambda: at)
    try:
        assert ids_of(context(sent(VALID)).trace()) == {"trace_id": "a" * 32, "span_id": "b" * 16}
    finally:
        CURRENT.reset(token)


@pytest.fixture
def lines():
    """The lines of a logger that writes as the service does."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    handler.addFilter(Seldom())
    handler.addFilter(OfRequest())
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(handler)
    logger.propagate = False
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.propagate = True


def test_a_record_that_names_its_request_itself_keeps_that(lines):
    token = SERVED.set(context(sent(VALID)))
    try:
        logging.getLogger("opentelemetry").warning("x", extra={"request_id": "another"})
    finally:
        SERVED.reset(token)
    (line,) = lines()
    assert (line["request_id"], line["trace_id"], line["span_id"]) == ("another", TRACE, SPAN)


def complain(logger, times=1):
    """What an exporter does while its collector is away."""
    for _ in range(times):
        logger.warning("Transient error %s, retrying in %s s", ConnectionError("https://collector/?key=secret"), 2)


def test_what_opentelemetry_repeats_is_written_once_a_minute_and_quotes_no_url(lines, monkeypatch):
    logger = logging.getLogger("opentelemetry.exporter.somewhere")
    complain(logger, 50)
    logger.error("Exception while exporting", exc_info=ConnectionError("https://collector/?key=secret"))
    assert [line["message"] for line in lines()] == [
        "Transient error ConnectionError, retrying in 2 s",
        "Exception while exporting",
    ]
    assert "secret" not in str(lines())
    monkeypatch.setattr(logs, "SELDOM", 0.0)
    complain(logger)
    assert len(lines()) == 3
