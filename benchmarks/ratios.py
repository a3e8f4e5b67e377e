"""The ratios of one contender to another, compared with the aims."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Final, NamedTuple

from benchmarks.contenders import BASELINE, BASELINE_SQLITE, FASTIFY, FASTIFY_SQLITE, OURS, OURS_SQLITE
from benchmarks.rounds import Case, Sample, Samples

CONNECTIONS: Final = 16
"""The number of connections of the aims."""

ONE_BY_ONE: Final = ("get", "list", "create", "edit", "toggle")


class Ratio(NamedTuple):
    """A ratio over the rounds."""

    least: float
    median: float
    most: float


class Aim(NamedTuple):
    """The aim of the median of a ratio."""

    least: float

    def met(self, ratio: Ratio) -> bool:
        """Whether the ratio reaches the aim."""
        return ratio.median >= self.least

    def __str__(self) -> str:
        return f"≥ {self.least:g}"


class Verdict(NamedTuple):
    """One line of the table: the requests a second as a ratio to another contender's."""

    work: str
    own: str
    other: str
    ratio: Ratio
    aim: Aim | None

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None without an aim."""
        return None if self.aim is None else self.aim.met(self.ratio)


PAIRS: Final = (
    (OURS, BASELINE),
    (OURS, FASTIFY),
    (OURS_SQLITE, BASELINE_SQLITE),
    (OURS_SQLITE, FASTIFY_SQLITE),
)

AIMS: Final = {
    BASELINE: {"get": Aim(20), "list": Aim(12), "create": Aim(15), "edit": Aim(16), "toggle": Aim(18)},
    FASTIFY: {"get": Aim(1), "list": Aim(1), "create": Aim(1), "edit": Aim(0.95), "toggle": Aim(0.95)},
    BASELINE_SQLITE: {"get": Aim(3), "list": Aim(3), "create": Aim(1.5), "edit": Aim(1.5), "toggle": Aim(1.5)},
    FASTIFY_SQLITE: {"get": Aim(0.75), "list": Aim(1), "create": Aim(1), "edit": Aim(1), "toggle": Aim(1)},
}
"""By the other contender and the work."""

MOST_TAIL: Final = 5
"""The largest allowed ratio of the 99th percentile to the median latency."""


def ratio_of(own: list[Sample], other: list[Sample]) -> Ratio:
    """Return the ratio of the first contender's requests a second to the second's, round by round."""
    ratios = [mine.outcome.rate / its.outcome.rate for mine, its in zip(own, other, strict=True)]
    return Ratio(min(ratios), median(ratios), max(ratios))


def verdicts(samples: Samples, *, connections: int = CONNECTIONS) -> Iterator[Verdict]:
    """Yield a line for each pair and work that was measured."""
    works = dict.fromkeys(case.work for case in samples)
    for own, other in PAIRS:
        for work in works:
            mine = samples.get(Case(connections, work, own))
            its = samples.get(Case(connections, work, other))
            if mine and its:
                yield Verdict(work, own, other, ratio_of(mine, its), AIMS[other].get(work))


class Tail(NamedTuple):
    """The ratio of the 99th percentile to the median."""

    work: str
    ratio: Ratio

    @property
    def met(self) -> bool:
        """Whether the ratio reaches the aim."""
        return self.ratio.median <= MOST_TAIL


def tails(samples: Samples) -> Iterator[Tail]:
    """Yield a line for each operation of the service."""
    for work in ONE_BY_ONE:
        if mine := samples.get(Case(CONNECTIONS, work, OURS)):
            ratios = [sample.outcome.p99 / sample.outcome.p50 for sample in mine]
            yield Tail(work, Ratio(min(ratios), median(ratios), max(ratios)))


class Typical(NamedTuple):
    """The medians over the rounds: requests a second, milliseconds, and microseconds of processor time a request."""

    rate: float
    p50: float
    p95: float
    p99: float
    server: float | None
    database: float | None


def typical(samples: list[Sample]) -> Typical:
    """Return the medians, each of its own."""
    outcomes = [sample.outcome for sample in samples]
    server = [sample.server for sample in samples if sample.server is not None]
    database = [sample.database for sample in samples if sample.database is not None]
    return Typical(
        median(outcome.rate for outcome in outcomes),
        median(outcome.p50 for outcome in outcomes),
        median(outcome.p95 for outcome in outcomes),
        median(outcome.p99 for outcome in outcomes),
        median(server) if server else None,
        median(database) if database else None,
    )
