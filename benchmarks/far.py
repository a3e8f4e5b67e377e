"""A distant database: many concurrent clients, while every round trip takes ROUND_TRIP."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

import psycopg

from benchmarks import contenders, works
from benchmarks.data import Data
from benchmarks.load import send
from benchmarks.ratios import ONE_BY_ONE
from servers.delay import DelayProxy
from servers.wrk import Outcome

ROUND_TRIP: Final = 30
"""Milliseconds of a round trip to the database."""

CLIENTS: Final = 64
MOST: Final = 45
"""Milliseconds within which 95% of the requests of each operation must be answered."""

_WARMING: Final = 0.5
_ASKED: Final = 20


class Far(NamedTuple):
    """The result; `round_trip` is the measured median in milliseconds, `seconds` the length of a run."""

    round_trip: float
    operations: dict[str, Outcome]
    seconds: float

    @property
    def met(self) -> bool:
        """Whether every operation reaches its aim."""
        return all(operation.p95 <= MOST for operation in self.operations.values())


def measure(data: Data, *, seconds: float) -> Far:
    """Serve CLIENTS clients from a database that is ROUND_TRIP away, one operation after the other.

    Raises LoadError if any request fails.
    """
    found = {}
    with DelayProxy(data.server.port, round_trip=ROUND_TRIP / 1000) as proxy:
        url = data.server.url("ours", port=proxy.port)
        with contenders.ours(data, url) as running:
            for place, name in enumerate(ONE_BY_ONE):
                file = data.directory / f"far-{name}.requests"
                file.write_bytes(works.encoded(works.requests(works.WORKS[name])))
                number = 9_000_000_000 + place * 100_000_000
                send(running.port, file, connections=CLIENTS, seconds=_WARMING, number=number)
                number += 50_000_000
                found[name] = send(running.port, file, connections=CLIENTS, seconds=seconds, number=number)
        return Far(_round_trip(url), found, seconds)


def _round_trip(url: str) -> float:
    """Return the time of the smallest statement in milliseconds."""
    taken = []
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(_ASKED):
            begun = time.perf_counter()
            connection.execute("SELECT 1")
            taken.append((time.perf_counter() - begun) * 1000)
    return sorted(taken)[_ASKED // 2]
