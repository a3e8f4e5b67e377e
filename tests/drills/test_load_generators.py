"""The benchmarks on the wire: what both load generators send and make of the answers, and the way to far away."""

import asyncio
import random
import shutil
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from benchmarks import ROOT, load, works
from benchmarks.load import LoadError, Outcome

from servers.processes import LOOPBACK, ServerProcess, free_port


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


async def send(port: int, file: Path, **arguments) -> Outcome:
    return await asyncio.to_thread(load.send, port, file, **arguments)


@pytest.fixture(params=["wrk", "benchmarks.generator"])
def generator(request, monkeypatch):
    """Run the test with each; wrk is no requirement, not even of the benchmarks."""
    program = shutil.which("wrk") if request.param == "wrk" else None
    if request.param == "wrk" and program is None:
        pytest.skip("wrk is not installed; the benchmarks then use their own load generator")
    monkeypatch.setattr(load, "wrk", lambda: program)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "work.requests"
    path.write_bytes(works.encoded([works.get("ann", 1), works.create("bob", 1), works.toggle("eve", 3)]))
    return path


@pytest.mark.usefixtures("generator")
async def test_the_requests_are_sent_in_turn_each_with_a_number_of_its_own(file):
    async with listening() as (port, endpoint):
        outcome = await send(port, file, connections=2, seconds=0.4, number=5_000_000_000)
    lines = [message.partition(b"\r\n")[0] for message in endpoint.received]
    assert {b"GET /api/ann/tasks/1 HTTP/1.1", b"PATCH /api/eve/tasks/3/complete HTTP/1.1"} <= set(lines)
    creates = [message for message in endpoint.received if message.startswith(b"POST")]
    assert abs(len(creates) - len(lines) / 3) <= 2
    titles = [message.partition(b"groceries ")[2][:10] for message in creates]
    assert len(set(titles)) == len(titles) > 10
    assert all(title.startswith(b"50000") and title.isdigit() for title in titles)
    # What was under way at the end is answered, and may be left out.
    assert 0 <= len(lines) - outcome.requests <= 2
    assert 0.3 < outcome.seconds < 2
    assert 0 < outcome.p50 <= outcome.p95 <= outcome.p99


@pytest.mark.usefixtures("generator")
async def test_one_error_among_hundreds_of_answers_is_not_overlooked(file):
    async with listening(bad=200) as (port, _):
        with pytest.raises(LoadError, match="not answered with a success"):
            await send(port, file, connections=4, seconds=0.4, number=0)


@pytest.mark.usefixtures("generator")
async def test_a_server_that_is_not_there_is_an_error(file):
    async with listening() as (port, _):
        pass
    with pytest.raises(LoadError):
        await send(port, file, connections=1, seconds=0.2, number=0)


async def test_each_operation_has_latencies_of_its_own(file):
    async with listening() as (port, endpoint):
        told = await asyncio.to_thread(load.send_each, port, file, connections=3, seconds=0.4, number=0)
    assert list(told) == ["create", "get", "toggle"]
    assert sum(each.requests for each in told.values()) == len(endpoint.received)
    assert all(0 < each.p50 <= each.p95 <= each.p99 for each in told.values())


async def test_the_wire_to_far_away_delays_each_way_and_keeps_every_byte_in_order(tmp_path):
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    port = free_port()
    sent = random.Random(1).randbytes(1_000_000)
    async with await asyncio.start_server(echo, LOOPBACK, 0) as server:
        target = server.sockets[0].getsockname()[1]
        command = [sys.executable, "-m", "benchmarks.relay", str(port), str(target), "40"]
        with ServerProcess(command, logs=tmp_path, name="relay", cwd=ROOT) as relay:
            await asyncio.to_thread(relay.wait_for_port, port)
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            begun = time.perf_counter()
            writer.write(b"?")
            assert await reader.readexactly(1) == b"?"
            assert 0.08 <= time.perf_counter() - begun < 1
            writer.write(sent)
            assert await reader.readexactly(len(sent)) == sent
            writer.close()
            await writer.wait_closed()
        if serving := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(serving)
