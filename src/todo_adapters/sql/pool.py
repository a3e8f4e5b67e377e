"""Connections to PostgreSQL, a bounded number of them, which no cancelled request can take away."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from todo_adapters.sql.connection import Connection
from todo_domain.errors import Unavailable

_DEFAULTS: Final = {
    "connect_timeout": "2",
    "fallback_application_name": "todo",
    "keepalives_idle": "20",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}


class Pool:
    """At most `size` connections, made when they are needed. The first to wait is the first to get one.

    Whoever takes a connection gives it back in a `finally`. Giving back awaits nothing, so it cannot be interrupted.
    """

    def __init__(self, info: str, *, size: int) -> None:
        self._info = make_conninfo("", **(_DEFAULTS | conninfo_to_dict(info)))
        # Taken from the right, so the warmest comes first. None is the right to make a connection.
        self._free: deque[Connection | None] = deque([None] * size)
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._settling: set[asyncio.Task[None]] = set()
        self._closed = False

    async def take(self) -> Connection:
        """Return a connection that nobody else has, once there is one. How long that may take is up to the caller.

        Raises psycopg.Error if a new one cannot be made.
        """
        if self._closed:
            raise Unavailable("the service is stopping")
        connection = self._free.pop() if self._free else await self._turn()
        if connection is not None:
            if not connection.hung_up():
                return connection
            connection.end()
        try:
            return await Connection.to(self._info)
        except BaseException:
            self._release(None)
            raise

    def give(self, connection: Connection) -> None:
        """Take a connection back, in whatever state it is."""
        if connection.idle or connection.closed:
            self._release(connection)
        else:
            task = asyncio.get_running_loop().create_task(self._settle(connection))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def aclose(self) -> None:
        """Close every connection that is not in use; the others close when they are given back."""
        self._closed = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(Unavailable("the service is stopping"))
        while self._free:
            if (connection := self._free.pop()) is not None:
                connection.end()
        for task in self._settling:
            task.cancel()
        await asyncio.gather(*self._settling, return_exceptions=True)

    async def _turn(self) -> Connection | None:
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # given one in the very moment of being cancelled
                self._release(waiter.result())
            raise

    async def _settle(self, connection: Connection) -> None:
        try:
            await connection.settle()
        finally:
            self._release(connection)

    def _release(self, connection: Connection | None) -> None:
        if connection is not None and (self._closed or not connection.idle):
            connection.end()
            connection = None
        while self._waiting:
            if not (waiter := self._waiting.popleft()).done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._free.appendleft(None)
        else:
            self._free.append(connection)
