"""Metrics of responses, callers, the store and its connections, in the text format of Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from time import perf_counter
from typing import Any, Final, Literal, ParamSpec, Protocol, TypeVar, runtime_checkable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as MEDIA_TYPE
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MutexValue, ValueClass

from todo_adapters.observability.calls import Wrapped
from todo_adapters.observability.tallies import TallyCounter, TallyHistogram
from todo_domain import Tasks

P = ParamSpec("P")
T = TypeVar("T")

NO_ROUTE: Final = "none"
"""The route of a response to an unknown path or method."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""The methods that name series and spans. A client may send any other one, which must not name another."""

_RESPONSE_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_STORE_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 3)
_WAKE_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30)
_PUBLISHED_EVERY: Final = 1.0
"""Seconds between two publications of a worker's states."""


@runtime_checkable
class Pooled(Protocol):
    """A store with a limited number of connections."""

    def connections(self) -> Mapping[str, int]:
        """Return the numbers of `busy` and `idle` connections, their `limit`, and the number of `waiting` callers."""


class Metrics:
    """The metrics of one application; with several workers, `text` of any worker has the sums of all.

    Events are counted as they happen. States (requests in flight, connections) are read when `text` is called. Each of
    several workers also publishes its states once a second, so the states of other workers may be that old.
    """

    def __init__(self, pool: Pooled | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # an unused second series for each counter
        self.in_flight = 0
        """Requests without a response yet; `Edge` counts them."""
        self.body_bytes: Callable[[], int] = int
        """Returns how many bytes of request bodies are held; set by the application."""
        self.response_bytes: Callable[[], int] = int
        """Returns how many bytes of long responses are held; set by the application."""
        self._pool = pool
        self._several = (
            ValueClass is not MutexValue
        )  # prometheus_client chooses by PROMETHEUS_MULTIPROC_DIR, which `todo serve` sets
        self._registry = registry = CollectorRegistry()
        # Of each request; with several workers, prometheus_client keeps the numbers in files that all workers map.
        histogram, counter = (Histogram, Counter) if self._several else (TallyHistogram, TallyCounter)
        self._responses = histogram(
            "todo_http_request_duration_seconds",
            "Requests by method, route and status: their number, and the time until the last byte was sent.",
            ["method", "route", "status"],
            buckets=_RESPONSE_SECONDS,
            registry=registry,
        )
        self._callers = counter(
            "todo_auth",
            "Requests by the result of verifying their token: ok, or the reason of the refusal.",
            ["outcome"],
            registry=registry,
        )
        self._store = histogram(
            "todo_store_operation_duration_seconds",
            "Calls of the store by operation, including failed ones.",
            ["operation"],
            buckets=_STORE_SECONDS,
            registry=registry,
        )
        self._now = _gauge(registry, "todo_http_requests_in_flight", "Requests without a response.")
        self._bodies = _gauge(registry, "todo_http_request_body_bytes", "Bytes of request bodies that are held.")
        self._response_memory = _gauge(registry, "todo_http_answer_bytes", "Bytes of long responses that are held.")
        if pool is not None:
            self._connections = _gauge(
                registry, "todo_database_connections", "Connections to the database, by state.", "state"
            )
            self._limit = _gauge(registry, "todo_database_connections_limit", "The most connections to the database.")
            self._waiting = _gauge(registry, "todo_database_callers_waiting", "Callers that wait for a connection.")
        self._wakes = Histogram(
            "todo_wake_seconds",
            "From the wake of a stream or a wait to its response.",
            buckets=_WAKE_SECONDS,
            registry=registry,
        )
        self._notifications = Counter(
            "todo_notifications",
            "Users named in notifications between workers, by direction: sent, received.",
            ["direction"],
            registry=registry,
        )
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []
        _gauge(registry, "todo_workers", "Processes that serve, by version.", "version").labels(version("todo")).set(1)
        if not self._several:
            ProcessCollector(registry=registry)
        self._observers: dict[tuple[str, str | None, int], Callable[[float], None]] = {}
        self._outcomes: dict[str, Callable[[], None]] = {}

    def responded(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a response. `route` is the path's template, never the path; None for an unknown route."""
        observe = self._observers.get((method, route, status))
        if observe is None:
            observe = self._observer(method, route, status)
        observe(seconds)

    def called(self, outcome: str) -> None:
        """Count a caller of `/api` or `/feeds`: `ok`, or the reason why their token was refused."""
        count = self._outcomes.get(outcome)
        if count is None:
            count = self._outcomes[outcome] = self._callers.labels(outcome).inc
        count()

    def woke(self, seconds: float) -> None:
        """Record how long after its wake a stream or a wait was answered."""
        self._wakes.observe(seconds)

    def notified(self, direction: Literal["sent", "received"], users: int) -> None:
        """Count users named in a notification."""
        self._notifications.labels(direction).inc(users)

    def watch(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Add a gauge; `read` returns its current value."""
        self._watched.append((_gauge(self._registry, name, description), read))

    def timed(self, tasks: Tasks) -> Tasks:
        """Return the store with its calls timed."""
        return Wrapped(tasks, self._timing, checks=True)

    def _timing(self, operation: str, call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        observe = self._store.labels(operation).observe

        async def timed(*args: P.args, **kwargs: P.kwargs) -> T:
            begun = perf_counter()
            try:
                return await call(*args, **kwargs)
            finally:
                observe(perf_counter() - begun)

        return timed

    def text(self) -> bytes:
        """Return all metrics in the text format, version 0.0.4. It takes milliseconds, and may run in any thread."""
        self._set_states()
        registry = self._registry
        if self._several:
            MultiProcessCollector(registry := CollectorRegistry())  # type: ignore[no-untyped-call]  # not typed yet
        return generate_latest(registry)

    @asynccontextmanager
    async def published(self, _: object = None) -> AsyncIterator[None]:
        """Publish this worker's states to the other workers while the application runs."""
        if not self._several:
            yield
            return
        task = asyncio.create_task(self._publish())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _publish(self) -> None:
        while True:
            self._set_states()
            await asyncio.sleep(_PUBLISHED_EVERY)

    def _set_states(self) -> None:
        self._now.set(self.in_flight)
        self._bodies.set(self.body_bytes())
        self._response_memory.set(self.response_bytes())
        for gauge, read in self._watched:
            gauge.set(read())
        if self._pool is not None:
            found = self._pool.connections()
            for state in ("busy", "idle"):
                self._connections.labels(state).set(found[state])
            self._limit.set(found["limit"])
            self._waiting.set(found["waiting"])

    def _observer(self, method: str, route: str | None, status: int) -> Callable[[float], None]:
        known = method in METHODS
        observe = self._responses.labels(method if known else "other", route or NO_ROUTE, str(status)).observe
        if known:
            self._observers[method, route, status] = observe
        return observe


def _gauge(registry: CollectorRegistry, name: str, description: str, *labels: str) -> Gauge:
    """Return a gauge whose value, with several workers, is the sum over the living ones."""
    return Gauge(name, description, labels, registry=registry, multiprocess_mode="livesum")


__all__ = ["MEDIA_TYPE", "METHODS", "NO_ROUTE", "Metrics", "Pooled"]
