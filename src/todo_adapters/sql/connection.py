"""A connection to PostgreSQL that runs batches, each as one simple query."""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any, Final, Self

from psycopg import AsyncClientCursor, AsyncConnection, Error
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn
from psycopg.waiting import wait_async

from todo_adapters.sql.batch import Batch
from todo_adapters.sql.rows import Row, Values

_GRACE: Final = 3.0
"""Seconds for which a batch that nobody waits for any more may run on."""

_INTERVAL: Final = 10.0
"""Seconds after which psycopg looks whether it is to stop; asyncio's cancellation needs no looking."""


class Instant(Loader):
    """Reads a `timestamptz` as UTC, whatever the server's own time zone."""

    def load(self, data: Buffer) -> datetime:
        """Return the time that PostgreSQL's text stands for."""
        return datetime.fromisoformat(str(data, "ascii")).astimezone(UTC)


class Connection(AsyncConnection[Row]):
    """A connection for one batch at a time. A batch whose caller is cancelled runs on, and `settle` awaits its end."""

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__(pgconn)
        self.adapters.register_loader("timestamptz", Instant)
        self._hand = AsyncClientCursor(self)
        self._unfinished: Generator[Any, Any, Any] | None = None
        self._glance = select.poll()
        self._glance.register(pgconn.socket, select.POLLIN)

    @classmethod
    async def to(cls, info: str) -> Self:
        """Return a new connection; `info` is libpq's."""
        # No prepared statements and no session settings: the next transaction may be on another server connection.
        return await cls.connect(info, autocommit=True, prepare_threshold=None, client_encoding="UTF8")

    @property
    def idle(self) -> bool:
        """Whether the next batch may be sent."""
        return self.pgconn.transaction_status == TransactionStatus.IDLE

    def hung_up(self) -> bool:
        """Whether the other end has ended it. Asks nobody: an idle connection hears nothing else from a server."""
        return bool(self._glance.poll(0)) or not self.idle

    async def run(self, batch: Batch, values: Values) -> list[list[Row]]:
        """Return the rows of each statement of the batch, none for one that returns none."""
        hand = await self._hand.execute(batch.sql, values)
        results = []
        while hand.nextset():  # the first result is the context's
            results.append(await hand.fetchall() if hand.description else [])
        return results

    async def wait(self, gen: Generator[Any, Any, Any], *_: Any, **__: Any) -> Any:  # noqa: ANN401  psycopg's own types
        """Wait as psycopg does, but have nothing cancelled on the server: that takes long, and may come too late."""
        try:
            return await wait_async(gen, self.pgconn.socket, interval=_INTERVAL)
        except asyncio.CancelledError:
            self._unfinished = gen
            raise

    async def settle(self) -> None:
        """Wait for the answer that nobody waited for, and drop it. Gives up after a few seconds."""
        if (gen := self._unfinished) is not None:
            self._unfinished = None
            with contextlib.suppress(Error, TimeoutError):
                async with asyncio.timeout(_GRACE):
                    await wait_async(gen, self.pgconn.socket, interval=_INTERVAL)

    def end(self) -> None:
        """Close it at once, whatever it is doing."""
        self.pgconn.finish()
