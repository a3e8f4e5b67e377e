"""Notifications of writes between the workers and instances on one PostgreSQL: LISTEN, and NOTIFY after the commit.

A notification names only the users whose tasks changed. It is the fast way, not the only one: the poll of the counters
(`todo_adapters.live`) wakes a listener whose notification is lost.

NOTIFY is a statement of its own, sent after the commit for many users at once. Inside the writing transactions it
would serialise them all: PostgreSQL holds one lock for the queue from NOTIFY to the end of the commit.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal

import psycopg
import sqlalchemy as sa
from psycopg import AsyncConnection

from todo_adapters.sql.postgres.connections.client import PostgresClient
from todo_adapters.sql.postgres.connections.pool import with_defaults
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.statements import parameter
from todo_domain.errors import Unavailable

CHANNEL: Final = "todo_changes"

PROBE_TIMEOUT: Final = 2.0
"""Seconds within which a notification through the pool must arrive for a connection to be used for listening."""

_PAUSE: Final = 0.05
"""Seconds between two NOTIFYs of one worker: at most 20 a second."""

_LONGEST_PAYLOAD: Final = 400
"""Digests in one NOTIFY; PostgreSQL allows 7,999 bytes, and a digest with its comma is 17."""

_MOST_PENDING: Final = 10_000
"""The most users that wait for a notification. Further users are left to the poll."""

_SILENCE: Final = 30.0
"""Seconds after which a silent connection is probed, because a pooler or a dead peer reports nothing."""

_BACK_OFF: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

_PROBE: Final = "probe:"

_UNREACHABLE: Final = (psycopg.Error, Unavailable, TimeoutError)
"""The errors that end an attempt to listen on a URL."""

_NOTIFY: Final = Transaction(
    sa.select(sa.func.pg_notify(sa.literal_column(f"'{CHANNEL}'"), parameter("payload", sa.Text))), alone=True
)


class Notifications:
    """One worker's LISTEN connection and its NOTIFYs.

    `urls` are the connection strings to listen on, the best first; the first that passes the probe is used. `received`
    is called with the digest of each user named, `reconnected` after a gap in which notifications may have been lost,
    and `counted` with the number of users that a notification named.
    """

    def __init__(
        self,
        client: PostgresClient,
        urls: Sequence[str],
        *,
        received: Callable[[str], None],
        reconnected: Callable[[], None],
        counted: Callable[[Literal["sent", "received"], int], None],
    ) -> None:
        self._client = client
        self._urls = [with_defaults(url) for url in urls]
        self._received = received
        self._reconnected = reconnected
        self._counted = counted
        self._pending: set[str] = set()
        self._wanted = asyncio.Event()
        self._probe: tuple[str, asyncio.Future[None]] | None = None
        self.listening = False
        """Whether notifications arrive at present."""

    def announce(self, digest: str) -> None:
        """Add a user to the next NOTIFY, at most 50 ms from now. Never waits."""
        if self.listening and len(self._pending) < _MOST_PENDING:
            self._pending.add(digest)
            self._wanted.set()

    async def run(self) -> None:
        """Listen and notify until cancelled; reconnect with a growing pause."""
        sending = asyncio.create_task(self._send())
        failures = 0
        try:
            while True:
                for url in self._urls:
                    if await self._listen(url):
                        failures = 0
                pause = _BACK_OFF[min(failures, len(_BACK_OFF) - 1)]
                failures += 1
                await asyncio.sleep(pause)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def first_delivering(self) -> int | None:
        """Return the index of the first URL on which a NOTIFY through the pool arrives, None if there is none.

        It takes at most PROBE_TIMEOUT and the time of a connection for each URL.
        """
        for index, url in enumerate(self._urls):
            with suppress(*_UNREACHABLE):
                async with self._proved(url):
                    return index
        return None

    async def _listen(self, url: str) -> bool:
        """Listen on one connection until it breaks or falls silent; return whether it ever worked."""
        worked = False
        with suppress(*_UNREACHABLE):
            async with self._proved(url) as receiving:
                worked = self.listening = True
                try:
                    self._reconnected()
                    while True:
                        await asyncio.wait([receiving], timeout=_SILENCE)
                        if receiving.done():
                            break
                        await self.prove()
                finally:
                    self.listening = False
        return worked

    @asynccontextmanager
    async def _proved(self, url: str) -> AsyncIterator[asyncio.Task[None]]:
        """Yield the receiving task of a new connection, once a NOTIFY has arrived there."""
        async with await AsyncConnection.connect(url, autocommit=True, prepare_threshold=None) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            receiving = asyncio.create_task(self._receive(connection))
            try:
                await self.prove()
                yield receiving
            finally:
                receiving.cancel()
                await asyncio.gather(receiving, return_exceptions=True)

    async def _receive(self, connection: AsyncConnection) -> None:
        async for notification in connection.notifies():
            if notification.payload.startswith(_PROBE):  # a NOTIFY of this worker or of another one
                if self._probe is not None and self._probe[0] == notification.payload and not self._probe[1].done():
                    self._probe[1].set_result(None)
                continue
            digests = notification.payload.split(",")
            self._counted("received", len(digests))
            for digest in digests:
                self._received(digest)

    async def prove(self) -> None:
        """Return if a NOTIFY sent through the pool arrives here within PROBE_TIMEOUT; raise TimeoutError if not."""
        word = _PROBE + secrets.token_hex(8)
        self._probe = (word, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                await self._notify(word)
                await self._probe[1]
        finally:
            self._probe = None

    async def _send(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            named, self._pending = sorted(self._pending), set()
            for start in range(0, len(named), _LONGEST_PAYLOAD):
                some = named[start : start + _LONGEST_PAYLOAD]
                with suppress(Unavailable):  # the poll wakes the listeners of other workers
                    await self._notify(",".join(some))
                    self._counted("sent", len(some))
                await asyncio.sleep(_PAUSE)

    async def _notify(self, payload: str) -> None:
        await self._client.run(_NOTIFY, {"owner": "", "payload": payload})
