"""A counter and a histogram of one process, with the interface of prometheus_client's, at a fraction of the cost.

prometheus_client takes a lock for each number that it changes, because any thread may change it. The event loop's
thread alone changes these, and any thread may read them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Tally:
    """One series of a counter."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def inc(self) -> None:
        """Count one event."""
        self.count += 1


class TallyCounter(Collector):
    """A counter with labels."""

    def __init__(
        self, name: str, documentation: str, labelnames: Sequence[str], *, registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labelnames
        self._series: dict[tuple[str, ...], Tally] = {}
        registry.register(self)

    def labels(self, *values: str) -> Tally:
        """Return the series with these values of the labels."""
        return self._series.setdefault(values, Tally())

    def collect(self) -> Iterator[Metric]:
        """Yield the counter."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, tally in list(self._series.items()):  # the loop may add a series meanwhile
            family.add_metric(values, tally.count)
        yield family


class Observations:
    """One series of a histogram."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """The observations of each bucket alone; the last one is above all bounds."""
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value; a bucket includes its upper bound."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class TallyHistogram(Collector):
    """A histogram with labels; `buckets` are the upper bounds, in order, without infinity."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str],
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labelnames
        self._bounds: Final = buckets
        self._shown = [floatToGoString(bound) for bound in (*buckets, math.inf)]  # type: ignore[no-untyped-call]  # not typed yet
        self._series: dict[tuple[str, ...], Observations] = {}
        registry.register(self)

    def labels(self, *values: str) -> Observations:
        """Return the series with these values of the labels."""
        return self._series.setdefault(values, Observations(self._bounds))

    def collect(self) -> Iterator[Metric]:
        """Yield the histogram."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, observed in list(self._series.items()):  # the loop may add a series meanwhile
            buckets = list(zip(self._shown, accumulate(observed.counts), strict=True))
            family.add_metric(values, buckets, observed.sum)
        yield family
