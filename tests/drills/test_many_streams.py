"""Thousands of streams on one worker: what they cost, and what other clients notice of them.

`pytest -s` shows the figures; the bounds are wider than the aims, because the machine does other things.
"""

import asyncio
import statistics
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from servers.processes import LOOPBACK
from servers.todo import Served, token_for
from support.length import LONG

SECRET = "0123456789abcdef0123456789abcdef"
STREAMS = 2_500 if LONG else 500
LISTENERS = 1_000 if LONG else 200
RECONNECTS = 1_000 if LONG else 200
SECONDS = 5 if LONG else 1
TASK = b'{"title": "x"}'


class Streams:
    """Open streams, each of one user's; what they carry is counted by the names of the events."""

    def __init__(self, port):
        self._port = port
        self._open = []
        self.events = Counter()
        self.statuses = Counter()

    async def add(self, users):
        await asyncio.gather(*(self._one(user) for user in users))

    async def _one(self, user):
        reader, writer = await asyncio.open_connection(LOOPBACK, self._port)
        writer.write(_head("GET", "/api/me/events", user) + b"\r\n")
        self.statuses[int((await reader.readuntil(b"\r\n\r\n")).split()[1])] += 1
        await reader.readuntil(b"event: ready\n")
        self.events["ready"] += 1
        self._open.append((asyncio.create_task(self._read(reader)), writer))

    async def _read(self, reader):
        with suppress(OSError, asyncio.IncompleteReadError):
            async for line in reader:
                if line.startswith(b"event: "):
                    self.events[line[7:].strip().decode()] += 1

    async def close(self):
        for reading, writer in self._open:
            reading.cancel()
            writer.transport.abort()
        await asyncio.gather(*(reading for reading, _ in self._open), return_exceptions=True)


@asynccontextmanager
async def streams(port, users, at_once=100):
    """Streams of these users; so many are opened at once."""
    opened = Streams(port)
    try:
        for begin in range(0, len(users), at_once):
            await opened.add(users[begin : begin + at_once])
        yield opened
    finally:
        await opened.close()


def _head(method, path, user):
    token = token_for(user, SECRET)
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n".encode()


async def _ask(connection, request):
    reader, writer = connection
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    return int(head.split()[1])


async def times(port, request, *, clients, seconds):
    """How long each request of so many clients took, in seconds; each must succeed."""
    until = time.perf_counter() + seconds
    took = []

    async def client():
        connection = await asyncio.open_connection(LOOPBACK, port)
        while time.perf_counter() < until:
            begun = time.perf_counter()
            assert await _ask(connection, request) < 300
            took.append(time.perf_counter() - begun)
        connection[1].close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return took


def _kib(served):
    """The memory of the service."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.fixture
def served(tmp_path, postgres_databases):
    with (
        postgres_databases.another() as name,
        Served(
            tmp_path,
            TODO_JWT_SECRET=SECRET,
            TODO_DATABASE_URL=postgres_databases.url(name),
            TODO_MAX_STREAMS_PER_USER="1000",
        ) as served,
    ):
        yield served


@pytest.mark.long
async def test_what_an_idle_stream_costs_and_what_others_notice(served):
    get = _head("GET", "/api/me/tasks?limit=20", "others") + b"\r\n"
    await times(served.port, get, clients=4, seconds=1)
    ratios = []
    for _ in range(3):
        before, alone = _kib(served), await times(served.port, get, clients=4, seconds=SECONDS)
        async with streams(served.port, [f"user-{number}" for number in range(STREAMS)]) as opened:
            assert opened.statuses == {200: STREAMS}
            each = (_kib(served) - before) / STREAMS
            among = await times(served.port, get, clients=4, seconds=SECONDS)
        p95 = [statistics.quantiles(took, n=20)[-1] * 1e3 for took in (alone, among)]
        print(  # noqa: T201  the figures, for -s
            f"{STREAMS} streams: {each:.1f} KiB each, p95 of a list {p95[0]:.1f} ms alone, {p95[1]:.1f} ms among them"
        )
        assert each < 64
        ratios.append(p95[1] / p95[0])
        if ratios[-1] < 1.5:
            return
    pytest.fail(f"{STREAMS} idle streams make the p95 of the others {min(ratios):.1f} times as long")


async def test_all_come_back_at_once_after_a_restart_and_none_is_refused(tmp_path, postgres_databases):
    users = [f"user-{number}" for number in range(RECONNECTS)]
    with postgres_databases.another() as name:
        settings = {"TODO_JWT_SECRET": SECRET, "TODO_DATABASE_URL": postgres_databases.url(name)}
        with Served(tmp_path, **settings) as first:
            async with streams(first.port, users):
                await asyncio.to_thread(first.process.stop)
        with Served(tmp_path, port=first.port, **settings) as again:
            begun = time.perf_counter()
            async with streams(again.port, users, at_once=RECONNECTS) as opened:
                took = time.perf_counter() - begun
                print(f"{RECONNECTS} streams at once: all open after {took:.2f} s")  # noqa: T201  the figures, for -s
                assert opened.statuses == {200: RECONNECTS}
                assert opened.events["ready"] == RECONNECTS
                assert took < 20


@pytest.mark.long
async def test_writers_beside_listeners_of_others_and_of_themselves(served):
    writes = {
        user: _head("POST", "/api/me/tasks", user)
        + f"Content-Type: application/json\r\nContent-Length: {len(TASK)}\r\n\r\n".encode()
        + TASK
        for user in (f"writer-{number}" for number in range(16))
    }

    async def rate():
        done = await asyncio.gather(
            *(times(served.port, write, clients=1, seconds=SECONDS) for write in writes.values())
        )
        return sum(map(len, done)) / SECONDS

    await rate()
    ratios = []
    for _ in range(3):
        alone = await rate()
        async with streams(served.port, [f"user-{number}" for number in range(LISTENERS)]):
            among = await rate()
        ratios.append(among / alone)
        print(  # noqa: T201  the figures, for -s
            f"16 writers: {alone:.0f} creates/s alone, {among:.0f} beside {LISTENERS} listeners of others"
        )
        if ratios[-1] > 0.9:
            break
    else:
        pytest.fail(f"listeners of others leave {max(ratios):.2f} of the writers' speed")
    async with streams(served.port, [*writes] * (LISTENERS // len(writes))) as opened:
        heard = await rate()
        print(  # noqa: T201  the figures, for -s
            f"{heard:.0f} beside {len(writes) * (LISTENERS // len(writes))} listeners of the writers,"
            f" who heard {opened.events['changes']} times"
        )
        assert opened.events["changes"] > 0
