"""500 clients that never finish their requests: the others hardly notice, with the shipped proxy and without one.

Three seconds of it in the short form, thirty in the long one. `pytest -s` shows the figures.
"""

import asyncio
import contextlib
import statistics
import time
from pathlib import Path

import pytest

from servers.nginx import proxying
from servers.processes import LOOPBACK
from servers.todo import Served, token_for
from support.length import LONG

pytestmark = pytest.mark.long

SECRET = "0123456789abcdef0123456789abcdef"
SECONDS = 30 if LONG else 3
SLOW = 500


async def trickle(port, number, token, until):
    """Three of five slow ones never end their bodies, two never their headers; a byte a second. Let go, they come back.

    They come from ten addresses, because the proxy allows each a hundred connections.
    """
    head = f"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    body = f"{head}Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{{"
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, port, local_addr=(f"127.0.0.{2 + number % 10}", 0))
            try:
                writer.write((body if number % 5 < 3 else head).encode())
                while time.monotonic() < until and not writer.is_closing():
                    await asyncio.sleep(1)
                    writer.write(b"X")
            finally:
                writer.close()


async def ask_on_and_on(port, token, until, took):
    """An ordinary client: one request after the other, twenty tasks each, on connections that it keeps while it may."""
    request = f"GET /api/me/tasks?limit=20 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    while time.monotonic() < until:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        kept = True
        while kept and time.monotonic() < until:
            begun = time.monotonic()
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert head.startswith(b"http/1.1 200")
            await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
            took.append(time.monotonic() - begun)
            kept = b"connection: close" not in head
        writer.close()


async def p99_of_the_others(port, token, seconds, slow):
    """In seconds, of four ordinary clients."""
    until = time.monotonic() + seconds
    slow_ones = [asyncio.create_task(trickle(port, number, token, until)) for number in range(slow)]
    await asyncio.sleep(1 if slow else 0)
    took = []
    await asyncio.gather(*[ask_on_and_on(port, token, until, took) for _ in range(4)])
    await asyncio.gather(*slow_ones)
    return statistics.quantiles(took, n=100)[-1]


def compare(name, port, token):
    """The best of three tries, because others use this machine too."""
    ratios = []
    for _ in range(3):
        alone = asyncio.run(p99_of_the_others(port, token, 2, 0))
        among = asyncio.run(p99_of_the_others(port, token, SECONDS, SLOW))
        print(  # noqa: T201  the figures, for -s
            f"{name}: p99 {alone * 1e3:.1f} ms alone, {among * 1e3:.1f} ms among {SLOW} slow sockets, {SECONDS:.0f} s"
        )
        ratios.append(among / max(alone, 0.01))  # less than 10 ms, twice is a hiccup of the machine
        if ratios[-1] < 2:
            return
    pytest.fail(f"{name}: {SLOW} slow sockets make the p99 of the others {min(ratios):.1f} times as long")


@pytest.fixture
def served(tmp_path: Path):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET, TODO_TRUSTED_PROXIES=LOOPBACK) as served:
        token = token_for("ann", SECRET)
        for number in range(20):
            assert served.request("POST", "/api/me/tasks", token, {"title": f"{number}"}).status == 201
        yield served, token


def test_slow_clients_do_not_double_the_p99_of_the_others_behind_the_proxy(served, tmp_path):
    instance, token = served
    with proxying(tmp_path, instance.port, changes={"gzip on;": "gzip off;"}) as port:
        compare("nginx", port, token)


def test_slow_clients_do_not_double_the_p99_of_the_others_without_a_proxy(served):
    instance, token = served
    compare("direct", instance.port, token)
