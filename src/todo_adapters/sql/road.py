"""How a batch travels to PostgreSQL and back: as one simple query on a connection of the pool."""

from __future__ import annotations

import asyncio
import random
from typing import Final

import psycopg

from todo_adapters.sql.batch import Batch
from todo_adapters.sql.connection import Connection
from todo_adapters.sql.outages import LOST_RACE, TOO_SLOW, left_open, sentence_for
from todo_adapters.sql.pool import Pool
from todo_adapters.sql.rows import Row, Values
from todo_domain.errors import Unavailable

PATIENCE: Final = 2.6
"""Seconds for everything: waiting for a connection, making it, running the batch, trying it again."""

_ROOM: Final = 0.3
"""Seconds by which the server gives a statement up before we do, so that we learn how it ended."""

_ATTEMPTS: Final = 5


class Road:
    """A pool of connections and the rules for what goes wrong on the way."""

    def __init__(self, info: str, *, pool_size: int) -> None:
        self._pool = Pool(info, size=pool_size)

    async def run(self, batch: Batch, values: Values) -> list[list[Row]]:
        """Return the rows of each statement of the batch. The road adds the timeout to `values`.

        What lost a race, and what only reads and lost its connection, is tried again. Raises Unavailable within 3 s;
        its outcome is unknown exactly if a writing batch was sent and no answer came. Raises psycopg.Error for what is
        a mistake of ours.
        """
        give_up = asyncio.get_running_loop().time() + PATIENCE
        attempt = 1
        while True:
            try:
                return await self._once(batch, values, give_up)
            except psycopg.Error as error:
                if (sentence := sentence_for(error)) is None:
                    raise
                again = error.sqlstate in LOST_RACE or (left_open(error) and not batch.writes)
                if not again or attempt == _ATTEMPTS:
                    raise Unavailable(sentence, outcome_unknown=batch.writes and left_open(error)) from error
            await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311  only to part those who collided
            attempt += 1

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _once(self, batch: Batch, values: Values, give_up: float) -> list[list[Row]]:
        """Do what `run` says, once, and raise psycopg.Error for every answer that is an error."""
        sent = False
        try:
            async with asyncio.timeout_at(give_up):
                connection = await self._connection()
                try:
                    left = give_up - _ROOM - asyncio.get_running_loop().time()
                    values["timeout"] = str(max(1, int(left * 1000)))
                    sent = True
                    return await connection.run(batch, values)
                finally:
                    self._pool.give(connection)
        except TimeoutError:
            if sent:
                raise Unavailable(TOO_SLOW, outcome_unknown=batch.writes) from None
            raise Unavailable("too many are waiting for the database: try again") from None

    async def _connection(self) -> Connection:
        try:
            return await self._pool.take()
        except psycopg.Error as error:
            raise Unavailable("the database cannot be reached: try again") from error
