"""The connections of a SQLite store: one that writes, one for short reads, and two for reads that may take long."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from operator import attrgetter
from pathlib import Path
from typing import Final

from todo_adapters.sql.schema import BEHIND, TOUCH
from todo_adapters.sql.sqlite import texts
from todo_adapters.sql.sqlite.calls import SqliteCalls, schema_is_behind
from todo_adapters.sql.sqlite.file import File
from todo_domain.deadline import Deadline
from todo_domain.errors import Unavailable
from todo_domain.owner import UserId

NO_LIMIT: Final = -1
_SLOW_READERS: Final = 2


class SqliteConnections:
    """The part that the methods of the store share. Methods: see `Tasks`."""

    def __init__(self, path: Path | str) -> None:
        file = File(Path(path))
        self._writer = SqliteCalls(file, writes=True)
        self._reader = SqliteCalls(file, writes=False)
        self._slow_readers = [SqliteCalls(file, writes=False) for _ in range(_SLOW_READERS)]

    async def open(self) -> None:
        """Open the file, or raise Unavailable; without this call, the first use does so."""
        await self._writer.run(lambda _: None)
        await self._reader.run(lambda _: None)

    async def aclose(self) -> None:
        """Finish the running calls and close the file. Later calls raise Unavailable."""
        for worker in (self._writer, self._reader, *self._slow_readers):
            await worker.aclose()

    def _reader_for(self, *, short: bool) -> SqliteCalls:
        return self._reader if short else min(self._slow_readers, key=attrgetter("load"))

    async def counters(self, users: Collection[UserId]) -> dict[UserId, int]:
        """Return each user's counter, each read by a statement for that user; 0 for a user who never wrote."""

        def work(connection: sqlite3.Connection) -> dict[UserId, int]:
            found = ((user, connection.execute(texts.COUNTER, {"owner": user}).fetchone()) for user in users)
            return {user: row[0] if row else 0 for user, row in found}

        return await self._reader.run(work)

    async def version(self) -> int:
        """Return a number that changes with each commit of any process; this takes a few microseconds."""
        return await self._reader.run(lambda connection: int(connection.execute("PRAGMA data_version").fetchone()[0]))

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """See `Tasks`; serving needs a file that can be written."""

        def behind(connection: sqlite3.Connection) -> bool:
            if schema_is_behind(connection):
                return True
            connection.execute(TOUCH)
            return False

        # The writer checks, because a locked file refuses its transaction.
        if await self._writer.run(behind, deadline):
            raise Unavailable(BEHIND)
