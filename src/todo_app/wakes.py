"""Wakes a worker's listeners after writes: after its own at once, after other workers' by notification or poll."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal, Protocol, runtime_checkable

from todo_adapters.live import Listeners, Poll, Versioned, digest_of
from todo_adapters.memory import MemoryTasks

if TYPE_CHECKING:
    from todo_adapters.observability.metrics import Metrics
    from todo_app.settings import Settings
    from todo_domain import Tasks, UserId

log = logging.getLogger("todo")

_EVERY: Final = 1.0
"""Seconds between two rounds of the poll if nothing else reports writes."""

_EVERY_VERSIONED: Final = 0.1
"""Seconds between two reads of a SQLite file's version, which take 2.7 µs each."""

_EVERY_NOTIFIED: Final = 15.0
"""Seconds between two rounds while notifications arrive, in case one is lost."""


class Notifier(Protocol):
    """The interface of `todo_adapters.sql.postgres.notifications`."""

    listening: bool

    def announce(self, digest: str) -> None:
        """Add a user to the next notification."""

    async def run(self) -> None:
        """Listen and notify until cancelled."""

    async def first_delivering(self) -> int | None:
        """Return the index of the first URL on which a notification arrives, None if there is none."""


@runtime_checkable
class Notifying(Protocol):
    """A store through which workers can notify each other."""

    def notifications(
        self,
        urls: Sequence[str],
        *,
        received: Callable[[str], None],
        reconnected: Callable[[], None],
        counted: Callable[[Literal["sent", "received"], int], None],
    ) -> Notifier:
        """Return the notifier, not yet running."""


def listen_urls(settings: Settings) -> list[str]:
    """Return PostgreSQL's connection strings to listen on, the direct one first: poolers drop notifications."""
    return [url for url in (settings.direct_url, settings.database.url) if url is not None]


class Wakes:
    """The listeners of a worker and everything that wakes them."""

    def __init__(self, settings: Settings, store: Tasks, metrics: Metrics) -> None:
        self.listeners = Listeners(most=settings.max_streams, most_per_user=settings.max_streams_per_user)
        self._notifier = self._notifier_of(settings, store, metrics)
        self._versioned = isinstance(store, Versioned)
        # Memory has one worker, so there are no other workers' writes.
        self._poll = None if isinstance(store, MemoryTasks) else Poll(self.listeners, store, every=self._every)
        counts = self.listeners.counts
        metrics.watch("todo_streams", "Open streams of /events.", lambda: counts["stream"])
        metrics.watch("todo_waits", "Requests to /changes that wait.", lambda: counts["wait"])
        metrics.watch(
            "todo_poll_round_seconds",
            "How long a round of the poll for other workers' writes takes, its pause included.",
            lambda: 0.0 if self._poll is None else self._poll.round_seconds,
        )

    def waking(self, tasks: Tasks) -> Tasks:
        """Return the store whose writes wake this worker's listeners and are announced to the other workers."""
        return self.listeners.waking(tasks, written=None if self._notifier is None else self._announce)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen for other workers' writes while the block runs."""
        log.info("live: other workers' writes are found by %s", self._way())
        running = [asyncio.create_task(each.run()) for each in (self._notifier, self._poll) if each is not None]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _announce(self, user: UserId) -> None:
        if self._notifier is not None:
            self._notifier.announce(digest_of(user))

    def _every(self) -> float:
        if self._versioned:
            return _EVERY_VERSIONED
        return _EVERY_NOTIFIED if self._notifier is not None and self._notifier.listening else _EVERY

    def _way(self) -> str:
        if self._poll is None:
            return "nothing: memory has one worker"
        if self._versioned:
            return "the version of the file, ten times a second"
        return "LISTEN where it works, and a poll" if self._notifier is not None else "a poll, once a second"

    def _notifier_of(self, settings: Settings, store: Tasks, metrics: Metrics) -> Notifier | None:
        if not isinstance(store, Notifying):
            return None
        return store.notifications(
            listen_urls(settings),
            received=self.listeners.wake_digest,
            reconnected=self._reconnected,
            counted=metrics.notified,
        )

    def _reconnected(self) -> None:
        log.info("live: notifications arrive")
        self.listeners.wake_all()
