"""However a client's bytes are cut into packets, the same requests come of them, one after the other."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo_app.server.connections import Connection, ServerConfig
from todo_app.server.framing import LIMIT, Framing, body_length
from todo_domain import Invalid

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
AWKWARD = st.sampled_from([b"\r\n\r\n", b"\r\n\r", b"\r\n", b"\r", b"0\r\n\r\n", GET, b"{}"])
CONTENT = st.lists(AWKWARD | st.binary(max_size=20), max_size=6).map(b"".join)
HEADERS = st.lists(
    st.sampled_from(
        [b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"X-A: b\r\n", b"x-a:\r\n"]
    ),
    max_size=2,
    unique=True,
).map(b"".join)


@st.composite
def requests(draw):
    """One request as bytes, and what an application should make of it."""
    method = draw(st.sampled_from([b"GET", b"POST", b"PATCH", b"TRACE", b"get", b"F", b"GETPOST", b"!" * 64]))
    empty = draw(st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\n"]))
    head = (
        empty
        + method
        + b" /"
        + draw(st.sampled_from([b"", b"a", b"b?c"]))
        + b" HTTP/1.1\r\nHost: x\r\n"
        + draw(HEADERS)
    )
    content = draw(CONTENT)
    if not draw(st.booleans()):
        return head + (b"Content-Length: %d\r\n\r\n%s" % (len(content), content)), (method, content)
    cuts = sorted({0, len(content), *draw(st.lists(st.integers(0, len(content)), max_size=3))})
    chunks = [
        b"%x%s\r\n%s\r\n" % (end - at, draw(st.sampled_from([b"", b";a=b"])), content[at:end])
        for at, end in pairwise(cuts)
    ]
    trailers = draw(st.sampled_from([b"", b"X-T: y\r\n", b"Host: y\r\nX-T: z\r\n", b"Connection: x, close\r\n"]))
    body = b"".join([*chunks, b"0\r\n", trailers, b"\r\n"])
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + body, (method, content)


class Transport(asyncio.Transport):
    """The other end of a connection, in memory."""

    def __init__(self):
        super().__init__()
        self.sent = b""
        self.reads = True
        self.closed = False

    def write(self, data):
        self.sent += data

    def write_eof(self):
        self.closed = True

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        self.reads = False

    def resume_reading(self):
        self.reads = True

    def get_write_buffer_size(self):
        return 0


async def converse(packets):
    """Send the packets as a server that is ready for them gets them; return the requests that came of them."""
    seen = []
    at_once = 0

    async def app(scope, receive, send):
        nonlocal at_once
        at_once += 1
        assert at_once == 1, "two requests of one connection at once"
        content = b""
        while (message := await receive())["type"] == "http.request":
            content += message["body"]
            if not message["more_body"]:
                break
        assert not any(name == b"x-t" for name, _ in scope["headers"])
        seen.append((scope["method"].encode(), content))
        at_once -= 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = ServerConfig(app, drain_seconds=0, most_connections=9, ws="none", lifespan="off", log_config=None)
    state = type("State", (), {"connections": set(), "tasks": set(), "default_headers": [], "total_requests": 0})()
    connection, transport = Connection(config, state, {}), Transport()
    connection.connection_made(transport)
    for packet in packets:
        connection.data_received(packet)
        assert not connection.pipeline
        while not transport.reads and state.tasks:
            await asyncio.wait(state.tasks, return_when=asyncio.FIRST_COMPLETED)
    while state.tasks:
        await asyncio.wait(state.tasks)
    connection.connection_lost(None)
    return seen, transport


@given(st.lists(requests(), min_size=1, max_size=4), st.data())
def test_however_requests_are_cut_into_packets_they_are_the_same(sent, data):
    stream = b"".join(request for request, _ in sent)
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=12))})
    seen, transport = asyncio.run(converse([stream[at:end] for at, end in pairwise(cuts)]))
    assert seen == [what for _, what in sent]
    assert transport.sent.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"").count(b"HTTP/1.1 204 ") == len(sent)


def test_a_byte_at_a_time_is_the_same_too():
    stream = (
        GET
        + b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\nA: b\r\n\r\n"
        + GET
    )
    seen, _ = asyncio.run(converse([stream[at : at + 1] for at in range(len(stream))]))
    assert seen == [(b"GET", b""), (b"POST", b"\r\n\r\n"), (b"GET", b"")]


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"a" * 20_000]), max_size=30), st.integers(1, 40_000))
def test_a_piece_ends_with_the_empty_line_that_it_holds_however_that_was_cut(parts, size):
    stream = b"".join(parts)
    framing, pieces = Framing(), []
    for packet in [stream[at : at + size] for at in range(0, len(stream), size)]:
        at = 0
        while at < len(packet):
            end = framing.next_piece(packet, at)
            pieces.append(packet[at:end])
            at = end
    assert b"".join(pieces) == stream
    assert framing.excess == len(stream)
    ends, read = set(), 0
    for piece in pieces:
        read += len(piece)
        ends.add(read)
        assert 0 < len(piece) <= LIMIT
    place = stream.find(b"\r\n\r\n")
    while place >= 0:
        assert place + 4 in ends
        place = stream.find(b"\r\n\r\n", place + 4)


def test_a_byte_of_content_pays_for_its_chunk_and_for_no_more():
    framing = Framing()
    framing.head_ended(None)
    for _ in range(10_000):
        framing.next_piece(b"0001\r\nx\r\n", 0)
        framing.content(1)
    assert framing.excess == 0
    framing.next_piece(b"0" * (LIMIT + 1), 0)
    framing.next_piece(b"0", 0)
    assert framing.exceeded(0)


def test_a_body_of_known_length_costs_nothing_and_ends_where_it_ends():
    framing = Framing()
    framing.head_ended(20_000)
    body = b"x" * 25_000
    assert (framing.next_piece(body, 0), framing.next_piece(body, 16_384), framing.excess) == (16_384, 20_000, 0)


@pytest.mark.parametrize(
    ("version", "headers", "length"),
    [
        ("1.1", [("host", "x")], 0),
        ("1.1", [("host", "")], 0),
        ("1.0", [], 0),
        ("1.1", [("host", "x"), ("content-length", "12 ")], 12),
        ("1.1", [("host", "x"), ("transfer-encoding", "Chunked")], None),
    ],
)
def test_how_long_a_body_is(version, headers, length):
    assert body_length(version, [(name.encode(), value.encode()) for name, value in headers]) == length


@pytest.mark.parametrize(
    ("version", "headers", "field"),
    [
        ("2.0", [("host", "x")], "request"),
        ("0.9", [], "request"),
        ("1.1", [], "Host"),
        ("1.1", [("host", "x"), ("host", "x")], "Host"),
        ("1.0", [("host", "x"), ("host", "y")], "Host"),
        ("1.1", [("host", "x"), ("transfer-encoding", "gzip, chunked")], "Transfer-Encoding"),
        (
            "1.1",
            [("host", "x"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            "Transfer-Encoding",
        ),
        ("1.1", [("host", "x"), ("transfer-encoding", "")], "Transfer-Encoding"),
        ("1.0", [("transfer-encoding", "chunked")], "Transfer-Encoding"),
    ],
)
def test_heads_that_have_no_one_meaning_are_refused(version, headers, field):
    with pytest.raises(Invalid) as refused:
        body_length(version, [(name.encode(), value.encode()) for name, value in headers])
    assert refused.value.field == field
