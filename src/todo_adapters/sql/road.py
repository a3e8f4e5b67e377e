"""How a batch travels to PostgreSQL and back: on the shared wire, or alone on one of the pool."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Final

import psycopg

from todo_adapters.sql.batch import Batch
from todo_adapters.sql.outages import LOST_RACE, NOT_PREPARED, TOO_SLOW, left_open, sentence_for
from todo_adapters.sql.pool import Pool, Shared, with_defaults
from todo_adapters.sql.rows import Row, Values
from todo_adapters.sql.wire import NotSentError, OverdueError, Wire
from todo_domain.errors import Unavailable

PATIENCE: Final = 2.6
"""Seconds for everything: waiting for a wire, making it, running the batch, trying it again."""

_ROOM: Final = 0.3
"""Seconds by which the server gives a statement up before we do, so that we learn how it ended."""

_ATTEMPTS: Final = 5


class Road:
    """The wires, and the rules for what goes wrong on the way.

    `pool_size` is how many connections there may be: one that short reads share, and the others for what travels alone.
    """

    def __init__(self, info: str, *, pool_size: int) -> None:
        info = with_defaults(info)
        self._shared = Shared(info)
        self._pool = Pool(info, size=max(1, pool_size - 1))
        self._prepared = True

    async def run(self, batch: Batch, values: Values, *, patience: float = PATIENCE) -> list[list[Row]]:
        """Return the rows of each statement of the batch. The road adds the timeout to `values`.

        What lost a race, and what only reads and lost its connection, is tried again. Raises Unavailable after
        `patience` in seconds; its outcome is unknown exactly if a writing batch was sent and no answer came. Raises
        psycopg.Error for what is a mistake of ours.
        """
        give_up = asyncio.get_running_loop().time() + patience
        attempt = 1
        while True:
            prepared = self._prepared
            try:
                return await self._once(batch, values, give_up, prepared=prepared)
            except OverdueError:
                raise Unavailable(TOO_SLOW, outcome_unknown=batch.writes) from None
            except psycopg.Error as error:
                if prepared and error.sqlstate in NOT_PREPARED:  # a pooler mixes servers; nothing of the batch was done
                    self._prepared = False
                    continue
                if (sentence := sentence_for(error)) is None:
                    raise
                unknown = batch.writes and left_open(error) and not isinstance(error, NotSentError)
                again = error.sqlstate in LOST_RACE or (left_open(error) and not unknown)
                if not again or attempt == _ATTEMPTS:
                    raise Unavailable(sentence, outcome_unknown=unknown) from error
            await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311  only to part those who collided  # nosec B311
            attempt += 1

    def connections(self) -> dict[str, int]:
        """Return how many connections are `busy` and `idle`, their `limit`, and how many callers are `waiting`."""
        return self._pool.connections()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._shared.aclose()
        await self._pool.aclose()

    async def _once(self, batch: Batch, values: Values, give_up: float, *, prepared: bool) -> list[list[Row]]:
        """Do what `run` says, once, and raise psycopg.Error for every answer that is an error."""
        wire = (self._pool if batch.alone else self._shared).at_hand() or await self._wire(batch, give_up)
        done = partial(self._pool.give, wire) if batch.alone else None
        left = give_up - _ROOM - asyncio.get_running_loop().time()
        values["timeout"] = str(max(50, int(left * 1000)))
        try:
            unit = wire.send(batch, values, deadline=give_up, prepared=prepared, done=done)
        except BaseException:
            if done is not None:
                done()
            raise
        try:
            return wire.rows(await unit.answer)
        except asyncio.CancelledError:  # what was sent runs on: whoever cancelled may know that it is decided
            await unit.ended()
            raise

    async def _wire(self, batch: Batch, give_up: float) -> Wire:
        try:
            async with asyncio.timeout_at(give_up):
                return await (self._pool if batch.alone else self._shared).take()
        except TimeoutError:
            raise Unavailable("too many are waiting for the database: try again") from None
        except psycopg.Error as error:
            raise Unavailable("the database cannot be reached: try again") from error
