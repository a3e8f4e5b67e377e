"""Byte streams that never end: what one client can make the server keep, and how long the others wait meanwhile.

4 MiB of each here, 400 MiB in the long form (`make drills`). `pytest -s` shows the figures.
"""

from contextlib import ExitStack
from typing import NamedTuple

import pytest

from servers.todo import Served, token_for
from support.byte_streams import HEALTH, MIB, RawConnection, Reply, costing
from support.length import LONG

SECRET = "0123456789abcdef0123456789abcdef"
SIZE = (400 if LONG else 4) * MIB
MOST_MEMORY = 16 * MIB
MOST_WAITING = 0.25 if LONG else 1
"""Seconds; the median of the other client's requests. In the short form, three other drills run at the same time."""

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n"
TASKS = b"POST /api/me/tasks HTTP/1.1\r\nAuthorization: Bearer TOKEN\r\nContent-Type: application/json\r\n"
UPGRADE = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"


class Endless(NamedTuple):
    """A request that goes on with the same bytes over and over; `statuses` are those that its one response may have."""

    begin: bytes
    again: bytes
    statuses: set[int]


ENDLESS = {
    "header lines": Endless(GET, b"a:\r\n", {431}),
    "one header name": Endless(GET, b"a", {431}),
    "one header value": Endless(GET + b"A: ", b"x", {431}),
    "one header value of spaces": Endless(GET + b"A:", b" ", {431}),
    "header lines of an upgrade": Endless(b"GET / HTTP/1.1\r\n" + UPGRADE, b"a:\r\n", {431}),
    "one target": Endless(b"GET /", b"x", {431}),
    "one query": Endless(b"GET /?", b"x", {431}),
    "empty lines": Endless(b"", b"\r\n", {431}),
    "a method": Endless(b"", b"A", {400}),
    "zeros": Endless(b"", b"\0", {400}),
    "trailers": Endless(TASKS + CHUNKED + b"0\r\n", b"a:\r\n", {400, 431}),
    "one trailer": Endless(TASKS + CHUNKED + b"2\r\n{}\r\n0\r\nA: ", b"x", {431}),
    "trailers of what is refused early": Endless(
        b"POST /health/live HTTP/1.1\r\n" + CHUNKED + b"0\r\n", b"a:\r\n", {405, 431}
    ),
    "a chunk extension": Endless(TASKS + CHUNKED + b"1;", b"x", {431}),
    "a chunk extension of what is refused early": Endless(b"POST /x HTTP/1.1\r\n" + CHUNKED + b"1;", b"x", {404, 431}),
    "a chunk size": Endless(TASKS + CHUNKED, b"0", {431}),
}
BODIES = {
    "a body in one piece": Endless(TASKS + b"Host: x\r\nContent-Length: 99999999999\r\n\r\n", b"x", {413}),
    "a body that nobody may send": Endless(b"POST /api/me/tasks HTTP/1.1\r\n" + CHUNKED, b"1\r\nx\r\n", {401}),
    "chunks of one byte": Endless(TASKS + CHUNKED, b"1\r\nx\r\n", {413}),
    "chunks of empty lines": Endless(TASKS + CHUNKED, b"4\r\n\r\n\r\n\r\n", {413}),
    "chunks with extensions": Endless(TASKS + CHUNKED, b"1;abcdefgh\r\nx\r\n", {413}),
}
PIPELINED = {
    "paths that are not there": (b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "HEAD": (b"HEAD /nope HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "upgrades": (b"GET /nope HTTP/1.1\r\n" + UPGRADE + b"\r\n", 404),
    "bodies of requests without a token": (
        b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        401,
    ),
    "long responses": (b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 200),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("streams"), TODO_JWT_SECRET=SECRET, TODO_AUDIT_LOG="audit.log") as served:
        for _ in range(200):  # what the first requests need for good is no cost of a stream's
            assert served.request("GET", "/nope", "").status == 404
        yield served


def with_token(request: bytes) -> bytes:
    return request.replace(b"TOKEN", token_for("ann", SECRET).encode())


def cheap(served, what, *, memory=MOST_MEMORY):
    """Watch what happens inside, and assert that it was cheap."""

    class Watch(ExitStack):
        def __enter__(self):
            super().__enter__()
            self.costs = self.enter_context(costing(served.port, served.process.pid))
            return self

        def __exit__(self, kind, *details):
            super().__exit__(kind, *details)
            if kind is None:
                (cost,) = self.costs
                waits = f"{cost.p50 * 1e3:.1f} ms, {cost.worst * 1e3:.0f} at worst"
                print(f"{what}: {cost.memory / MIB:.1f} MiB; others wait {waits}")  # noqa: T201  the figures, for -s
                assert cost.memory < memory
                assert cost.p50 < MOST_WAITING

    return Watch()


def status_of(reply: Reply | None) -> int | None:
    return None if reply is None else reply.status


@pytest.mark.parametrize("what", ENDLESS)
def test_what_is_no_content_is_refused_once_it_is_too_much(served, what):
    begin, again, statuses = ENDLESS[what]
    with cheap(served, what), RawConnection(served.port) as client:
        client.send(with_token(begin))
        client.send_endlessly(again, SIZE)
        reply = client.reply()
        assert status_of(reply) in statuses
        assert client.reply() is None
    with RawConnection(served.port) as client:
        client.send(HEALTH)
        assert status_of(client.reply()) == 200


@pytest.mark.parametrize("what", BODIES)
def test_a_body_without_end_is_refused_and_the_rest_of_it_dropped(served, what):
    begin, again, statuses = BODIES[what]
    with cheap(served, what), RawConnection(served.port) as client:
        client.send(with_token(begin))
        sent = client.send_endlessly(again, SIZE)
        assert status_of(client.reply()) in statuses
        if b"chunked" in begin:  # it can end
            client.send(again[sent % len(again) :] * bool(sent % len(again)) + b"0\r\n\r\n" + HEALTH)
            assert status_of(client.reply()) == 200


@pytest.mark.parametrize("what", PIPELINED)
def test_requests_whose_responses_are_not_read_wait_in_the_clients_own_memory(served, what):
    request, status = PIPELINED[what]
    with cheap(served, what), RawConnection(served.port) as client:
        sent = client.send_endlessly(request, SIZE, seconds=2)
        headless = request.startswith(b"HEAD")
        for _ in range(min(sent // len(request), 2_000)):
            assert status_of(client.reply(headless=headless)) == status


def test_many_unfinished_requests_cost_what_the_ceiling_of_each_says(served):
    """200 connections with 30 KiB of an unfinished head, and 200 that pipeline and do not read."""
    with cheap(served, "many", memory=400 * 128 * 1024), ExitStack() as clients:
        for _ in range(200):
            client = clients.enter_context(RawConnection(served.port))
            assert client.send(b"GET /" + b"x" * 16_000 + b" HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 14_000)
        for _ in range(200):
            client = clients.enter_context(RawConnection(served.port))
            client.send_endlessly(b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n", 64 * 1024, seconds=0.05)


def test_bodies_that_never_end_are_held_up_to_the_bound_and_let_others_in_again(tmp_path):
    begin = with_token(TASKS) + b"Host: x\r\nContent-Length: 60014\r\n\r\n" + b" " * 60_000
    with Served(tmp_path, TODO_JWT_SECRET=SECRET, TODO_MAX_BODIES_BYTES="1048576") as served:
        with ExitStack() as clients:
            held = [clients.enter_context(RawConnection(served.port)) for _ in range(17)]
            for client in held:
                client.send(begin)
            served.process.wait_until(lambda: body_bytes(served.port) == 17 * 60_000)
            with RawConnection(served.port) as client:
                client.send(begin + b'{"title": "x"}')
                reply = client.reply()
                assert status_of(reply) == 503
                assert b"\r\nretry-after: 1\r\n" in reply.head.lower()
                client.send(HEALTH)
                assert status_of(client.reply()) == 200
            held[0].send(b'{"title": "x"}')
            assert status_of(held[0].reply()) == 201
            assert body_bytes(served.port) == 16 * 60_000
        served.process.wait_until(lambda: body_bytes(served.port) == 0)


def body_bytes(port):
    with RawConnection(port) as client:
        client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        return float(client.reply().body.split(b"\ntodo_http_request_body_bytes ")[1].split(b"\n")[0])
