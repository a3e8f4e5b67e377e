"""A database far away: many clients at once, while every round trip to it takes its time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import psycopg

from benchmarks import ROOT, contenders, works
from benchmarks.data import Data
from benchmarks.load import Latencies, send_each
from servers.processes import ServerProcess, free_port

ROUND_TRIP: Final = 30
"""Milliseconds, to the database and back."""

CLIENTS: Final = 64
MOST: Final = 200
"""Milliseconds within which 95% of the requests of each operation have to be answered."""

_WARMING: Final = 2.0
_ASKED: Final = 20


class Far(NamedTuple):
    """What came of it; `round_trip` is the median that was measured, in milliseconds."""

    round_trip: float
    operations: dict[str, Latencies]
    seconds: float

    @property
    def met(self) -> bool:
        """Whether every operation is as fast as is aimed at."""
        return all(operation.p95 <= MOST for operation in self.operations.values())


def measure(data: Data, *, seconds: float) -> Far:
    """Serve from a database that is ROUND_TRIP away, to CLIENTS at once. Raises LoadError if any request fails."""
    file = data.directory / "far.requests"
    file.write_bytes(works.encoded(works.requests(works.WORKS["mixed"])))
    with _relay(data) as port:
        url = data.server.url("ours", port=port)
        with contenders.ours(data, url) as running:
            send_each(running.port, file, connections=CLIENTS, seconds=_WARMING, number=9_000_000_000)
            operations = send_each(running.port, file, connections=CLIENTS, seconds=seconds, number=9_500_000_000)
        return Far(_round_trip(url), operations, seconds)


@contextmanager
def _relay(data: Data) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.relay", str(port), str(data.server.port), str(ROUND_TRIP / 2)]
    with ServerProcess(command, logs=data.directory, name="relay", cwd=ROOT) as process:
        process.wait_for_port(port)
        yield port


def _round_trip(url: str) -> float:
    """Return how long the least of statements takes, in milliseconds."""
    taken = []
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(_ASKED):
            begun = time.perf_counter()
            connection.execute("SELECT 1")
            taken.append((time.perf_counter() - begun) * 1000)
    return sorted(taken)[_ASKED // 2]
