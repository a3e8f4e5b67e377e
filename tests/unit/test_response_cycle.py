"""Our cycle of a request sends what uvicorn's sends, byte for byte, and ends as it ends; only in fewer writes."""

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from support.length import examples
from todo_app.server.response_cycle import ResponseCycle
from todo_app.server.transports import ResponseTransport

DATE = (b"date", b"Sat, 28 Nov 2026 09:00:00 GMT")
CLOSE = (b"connection", b"close")


class Recording:
    """A transport that remembers what was written, and whether it was closed."""

    def __init__(self):
        self.writes = []
        self.closed = 0

    def write(self, data):
        assert not self.closed
        if data:
            self.writes.append(bytes(data))

    def close(self):
        self.closed += 1

    def is_closing(self):
        return bool(self.closed)


async def sent_by(kind, messages, *, method, keep_alive, default_headers, expects, raises, version="1.1"):
    """What a cycle of this class has written and done when the application has sent these messages."""
    recording = Recording()
    transport = ResponseTransport(recording, recording.close) if kind is ResponseCycle else recording
    completed, errors = [], []

    class Errors(logging.Handler):
        def emit(self, record):
            errors.append(record.getMessage())

    logger = logging.Logger("test")  # noqa: LOG001  one that nobody else has
    logger.addHandler(Errors())
    cycle = kind(
        scope={"type": "http", "method": method, "http_version": version},
        transport=transport,
        flow=FlowControl(recording),
        logger=logger,
        access_logger=logger,
        access_log=False,
        default_headers=default_headers,
        message_event=asyncio.Event(),
        expect_100_continue=expects,
        keep_alive=keep_alive,
        on_response=lambda: completed.append(1),
    )

    async def app(_, receive, send):
        if expects and method == "POST":
            cycle.message_event.set()
            await receive()
        for message in messages:
            await send(dict(message))
        if raises:
            raise LookupError

    await cycle.run_asgi(app)
    goes_on = cycle.keep_alive and not recording.closed
    ended = cycle.response_started, cycle.response_complete, goes_on, cycle.message_event.is_set()
    return recording, (b"".join(recording.writes), recording.closed, completed, errors, ended)


names = st.sampled_from([b"content-type", b"ETag", b"x-y", b"", b"a b", b"a:b", b"\xff", b"nul\0", b"a\r\nb"])
values = st.sampled_from([b"a", b"", b'W/"1"', b"\xc3\xbc", b"a\tb", b"a\r\nb: c", b"a\nb", b"nul\0", b"\x7f"])
framing = st.sampled_from(
    [
        *((b"content-length", b"%d" % size) for size in (0, 5, 7, 10)),
        (b"Content-Length", b"5"),
        (b"content-length", b"five"),
        (b"transfer-encoding", b"chunked"),
        (b"Transfer-Encoding", b"Chunked"),
        (b"transfer-encoding", b"gzip"),
        (b"connection", b"close"),
        (b"Connection", b"upgrade, Close"),
        (b"connection", b"keep-alive"),
    ]
)
sane = st.tuples(st.sampled_from([b"content-type", b"ETag", b"X-Y"]), st.sampled_from([b"a", b"", b"\xc3\xbc"]))
starts = st.fixed_dictionaries(
    {
        "type": st.just("http.response.start"),
        "status": st.sampled_from([200, 201, 204, 207, 304, 307, 404, 412, 500, 599, 99]),
        "headers": st.lists(framing | sane | sane | st.tuples(names, values), max_size=6),
    }
)
bodies = st.fixed_dictionaries(
    {"type": st.just("http.response.body")},
    optional={
        "body": st.sampled_from([b"", b"12345", b"1234567", b"x" * 70_000]),
        "more_body": st.booleans(),
    },
)
in_turn = st.tuples(starts, st.lists(bodies, max_size=4)).map(lambda drawn: [drawn[0], *drawn[1]])


@settings(max_examples=examples(100))
@given(
    messages=in_turn | st.lists(starts | bodies | st.just({"type": "http.response.trailers"}), max_size=4),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    keep_alive=st.booleans(),
    default_headers=st.sampled_from([[], [DATE], [DATE, CLOSE]]),
    expects=st.booleans(),
    raises=st.booleans(),
)
async def test_the_bytes_the_end_and_the_state_are_those_of_uvicorn(messages, **how):
    theirs, ours = [(await sent_by(kind, messages, **how))[1] for kind in (RequestResponseCycle, ResponseCycle)]
    assert ours == theirs


async def test_a_body_of_unknown_length_ends_with_the_connection_of_http_1_0():
    start = {"type": "http.response.start", "status": 200, "headers": []}
    bodies = [{"type": "http.response.body", "body": b"ab", "more_body": more} for more in (True, False)]
    _, (written, closed, *_) = await sent_by(
        ResponseCycle,
        [start, *bodies],
        method="GET",
        keep_alive=False,
        default_headers=[],
        expects=False,
        raises=False,
        version="1.0",
    )
    assert written == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabab"
    assert closed


@pytest.mark.parametrize("headers", [[(b"content-length", b"5")], []], ids=["with a length", "in chunks"])
async def test_the_head_and_the_beginning_of_the_body_are_one_write(headers):
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    body = {"type": "http.response.body", "body": b"12345"}
    recording, _ = await sent_by(
        ResponseCycle, [start, body], method="GET", keep_alive=True, default_headers=[DATE], expects=False, raises=False
    )
    assert len(recording.writes) == 1


async def test_a_head_whose_body_never_comes_is_sent_before_the_connection_ends():
    start = {"type": "http.response.start", "status": 200, "headers": []}
    recording, (written, closed, *_) = await sent_by(
        ResponseCycle, [start], method="GET", keep_alive=True, default_headers=[DATE], expects=False, raises=True
    )
    assert written.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    assert written.endswith(b"\r\n\r\n")
    assert closed == len(recording.writes) == 1
