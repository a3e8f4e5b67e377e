"""A load generator: what sends requests where there is no wrk, and where each operation's own latency counts.

python -m benchmarks.generator PORT FILE CONNECTIONS SECONDS NUMBER

reads the file as requests.lua does, and prints one line of JSON. Times are in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NamedTuple

import uvloop

from benchmarks.works import END, NUMBER

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TIMEOUT: Final = 20.0
"""Seconds for the answers that are still out when time is up."""


class Prepared(NamedTuple):
    """A request as it is sent; where it has a number, `tail` is what comes behind that."""

    operation: str
    head: bytes
    tail: bytes | None


def read_requests(encoded: bytes) -> list[Prepared]:
    """Return the requests of a file."""
    found = []
    for record in encoded.split(END)[:-1]:
        operation, _, message = record.partition(b"\n")
        head, mark, tail = message.partition(NUMBER.encode())
        found.append(Prepared(operation.decode(), head, tail if mark else None))
    return found


def answer_length(received: bytes | bytearray) -> int | None:
    """Return how many bytes the answer at the start has, or None while its header section is not there yet.

    Raises ValueError for an answer that does not say its length.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(received, 0, end + 2)
    if length is None:
        raise ValueError("the answer has no Content-Length")
    return end + 4 + int(length[1])


def percentile(ordered: list[float], part: float) -> float:
    """Return the smallest of the ordered values that at least this part of all, from 0 to 1, does not exceed."""
    return ordered[max(0, -(-len(ordered) * round(part * 1000) // 1000) - 1)]


def spread(latencies: list[float]) -> dict[str, float]:
    """Return the percentiles of latencies in seconds, in milliseconds."""
    ordered = sorted(latencies)
    return {f"p{part}": round(percentile(ordered, part / 100) * 1000, 3) for part in (50, 95, 99)}


class Tally:
    """What all connections share: what to send next, and what became of it."""

    def __init__(self, requests: list[Prepared], number: int) -> None:
        self._requests: Iterator[Prepared] = cycle(requests)
        self._numbers = count(number)
        self.latencies: dict[str, list[float]] = defaultdict(list)
        self.errors = 0
        self.over = False

    def next(self) -> tuple[str, bytes]:
        """Return the operation and the bytes of the next request."""
        operation, head, tail = next(self._requests)
        return operation, head if tail is None else b"%b%010d%b" % (head, next(self._numbers), tail)


class Client(asyncio.Protocol):
    """One connection: sends a request when it has the answer to the one before, until the tally is over."""

    def __init__(self, tally: Tally) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._tally = tally
        self._received = bytearray()
        self._transport: asyncio.Transport
        self._operation = ""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        length = answer_length(self._received)
        if length is None or len(self._received) < length:
            return
        if self._received[9:10] == b"2":  # HTTP/1.1 2xx
            self._tally.latencies[self._operation].append(perf_counter() - self._sent)
        else:
            self._tally.errors += 1
        self._received.clear()
        if self._tally.over:
            self._end()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        if not self.ended.done():
            self._tally.errors += 1
            self._end()

    def _send(self) -> None:
        self._operation, message = self._tally.next()
        self._sent = perf_counter()
        self._transport.write(message)

    def _end(self) -> None:
        self.ended.set_result(None)
        self._transport.close()


async def generate(
    port: int, requests: list[Prepared], connections: int, seconds: float, number: int
) -> dict[str, Any]:
    """Send for some seconds, then wait for the answers that are out, and return what came of it."""
    tally = Tally(requests, number)
    loop = asyncio.get_running_loop()
    begun = perf_counter()
    made = [await loop.create_connection(lambda: Client(tally), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.sleep(seconds)
    tally.over = True
    _, late = await asyncio.wait([client.ended for _, client in made], timeout=_TIMEOUT)
    tally.errors += len(late)
    lasted = perf_counter() - begun
    everything = [latency for latencies in tally.latencies.values() for latency in latencies] or [0.0]
    return {
        "requests": sum(map(len, tally.latencies.values())),
        "seconds": lasted,
        **spread(everything),
        "errors": tally.errors,
        "operations": {
            name: {"requests": len(latencies), **spread(latencies)}
            for name, latencies in sorted(tally.latencies.items())
        },
    }


def main(port: str, file: str, connections: str, seconds: str, number: str) -> None:
    """Send, and print what came of it."""
    requests = read_requests(Path(file).read_bytes())
    told = generate(int(port), requests, int(connections), float(seconds), int(number))
    print(json.dumps(uvloop.run(told)))


if __name__ == "__main__":
    main(*sys.argv[1:])
