"""The load generator: what it sends, and what it makes of the responses."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from servers import wrk
from servers.processes import LOOPBACK
from servers.wrk import Outcome, Wrk, WrkError


class Endpoint:
    """A server that keeps what it is sent, and answers every n-th request with an error."""

    def __init__(self, bad: int | None) -> None:
        self.received: list[bytes] = []
        self._bad = bad

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line[16:]) for line in head.split(b"\r\n") if line[:15] == b"Content-Length:"), 0)
                self.received.append(head + await reader.readexactly(length))
                status = b"500 Oops" if self._bad and len(self.received) % self._bad == 0 else b"200 OK"
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\n{}" % status)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):  # the client has had enough
            writer.close()


@asynccontextmanager
async def listening(*, bad: int | None = None):
    endpoint = Endpoint(bad)
    async with await asyncio.start_server(endpoint.serve, LOOPBACK, 0) as server:
        yield server.sockets[0].getsockname()[1], endpoint
        if serving := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(serving)


@pytest.fixture
def file(tmp_path):
    wrk.require()
    path = tmp_path / "requests"
    create = wrk.message("POST", "/api/bob/tasks", "two", f'{{"title": "{wrk.NUMBER}"}}')
    path.write_bytes(wrk.encoded([wrk.message("GET", "/api/ann/tasks/1", "one"), create, "PATCH / HTTP/1.1\r\n\r\n"]))
    return path


async def send(port: int, file: Path, **arguments) -> Outcome:
    def run() -> Outcome:
        with Wrk(port, file, **arguments) as process:
            return process.outcome()

    return await asyncio.to_thread(run)


async def test_the_requests_are_sent_in_turn_each_with_a_number_of_its_own(file):
    async with listening() as (port, endpoint):
        outcome = await send(port, file, connections=1, seconds=0.4, number=5_000_000_000)
    assert outcome.requests == pytest.approx(len(endpoint.received), abs=1)  # what was out when time was up
    assert (outcome.refused, outcome.broken) == (0, 0)
    assert 0 < outcome.p50 <= outcome.p95 <= outcome.p99
    kinds = [message[:4] for message in endpoint.received]
    turn = [b"GET ", b"POST", b"PATC"] * 2
    begun = turn.index(kinds[0])  # wrk has made some of them to see whether they can be made
    assert kinds[:90] == (turn[begun : begun + 3] * 30)[: len(kinds)]
    numbers = [int(message[-12:-2]) for message in endpoint.received if message.startswith(b"POST")]
    assert 5_000_000_000 < numbers[0] < 5_000_000_010
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_one_error_among_hundreds_of_responses_is_not_overlooked(file):
    async with listening(bad=200) as (port, endpoint):
        outcome = await send(port, file, connections=4, seconds=1.5)  # hundreds on a busy machine, too
    assert outcome.refused == pytest.approx(len(endpoint.received) // 200, abs=1)
    assert outcome.refused


async def test_a_server_that_is_not_there_is_an_error(file):
    async with listening() as (port, _):
        pass
    with pytest.raises(WrkError):
        await send(port, file, connections=1, seconds=0.2)


def test_what_wrk_tells_is_read_from_its_last_line():
    line = '{"requests": 3528, "seconds": 0.500417, "p50": 2.193, "p95": 2.871, "p99": 3.69, "refused": 1, "broken": 0}'
    outcome = wrk.read(f"Running 7s test @ http://127.0.0.1:8000\nTransfer/sec:      4.40MB\n\n{line}\n")
    assert outcome == Outcome(3528, 0.500417, 2.193, 2.871, 3.69, 1, 0)
    assert outcome.rate == pytest.approx(7050.12, abs=0.01)


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:8000 Connection refused\n"])
def test_a_generator_that_tells_nothing_is_an_error(output):
    with pytest.raises(WrkError, match="reported nothing"):
        wrk.read(output)
