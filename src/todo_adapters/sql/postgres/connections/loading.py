"""Receives results of PostgreSQL: long ones in chunks, times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from psycopg import capabilities
from psycopg.abc import Buffer, Transformer
from psycopg.adapt import Loader
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from todo_adapters.sql.values import Row
from todo_domain.errors import Unavailable

CHUNKS: Final = {ExecStatus.TUPLES_CHUNK, ExecStatus.SINGLE_TUPLE}
"""The status of a result with a part of a statement's rows."""

_ROWS: Final = {ExecStatus.TUPLES_OK, *CHUNKS}
"""The statuses of results with rows."""

CHUNK: Final = 16
"""Rows of a long result that are loaded at once, mostly in less than half a millisecond: at most half a megabyte."""

PAUSE: Final = 0.001
"""Seconds between two chunks while other transactions are in flight: some times what it takes to load a chunk."""


class Instant(Loader):
    """Loads a `timestamptz` as UTC, with any time zone of the server.

    It is for connections through a pooler. On a direct connection the service sets the time zone, and psycopg's own
    loader, which is compiled, returns UTC.
    """

    def load(self, data: Buffer) -> datetime:
        """Return the time in PostgreSQL's text. Raises Unavailable if it is not in ISO format."""
        try:
            moment = datetime.fromisoformat(str(data, "ascii"))
        except ValueError:  # the row may be the result of a write
            raise Unavailable(
                "the database does not write dates in ISO format: run todo doctor", outcome_unknown=True
            ) from None
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def ask_for_chunks(connection: PGconn) -> None:
    """Make libpq return the next statement's rows in chunks; before version 17 it returns them one by one."""
    if capabilities.has_stream_chunked():
        connection.set_chunked_rows_mode(CHUNK)
    else:
        connection.set_single_row_mode()


def rows_of(result: PGresult, shapes: Transformer) -> list[Row]:
    """Return the rows of a result; an empty list for one that has none."""
    if result.status not in _ROWS:
        return []
    shapes.set_pgresult(result)
    rows = shapes.load_rows(0, result.ntuples, tuple)
    shapes.set_pgresult(None)  # the last of many would stay in memory
    return rows
