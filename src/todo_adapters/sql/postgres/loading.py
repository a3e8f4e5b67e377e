"""How results of PostgreSQL are received: long ones in chunks, times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from psycopg import capabilities
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

from todo_domain.errors import Unavailable

CHUNKS: Final = {ExecStatus.TUPLES_CHUNK, ExecStatus.SINGLE_TUPLE}
"""What a result is whose rows are some of a statement's."""

ROWS: Final = {ExecStatus.TUPLES_OK, *CHUNKS}
"""What a result is that has rows."""

_CHUNK: Final = 64
"""Rows of a long result that are loaded at once: 2 MB at most, a few milliseconds."""


class Instant(Loader):
    """Reads a `timestamptz` as UTC, whatever the server's own time zone."""

    def load(self, data: Buffer) -> datetime:
        """Return the time that PostgreSQL's text stands for. Raises Unavailable if it is not written as ISO does."""
        try:
            moment = datetime.fromisoformat(str(data, "ascii"))
        except ValueError:  # what is read may be the result of a write
            raise Unavailable("dates are not written as ISO does here: run todo doctor", outcome_unknown=True) from None
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def ask_for_chunks(connection: PGconn) -> None:
    """Have libpq return the rows of the statement that is next in chunks; before version 17 it can only one by one."""
    if capabilities.has_stream_chunked():
        connection.set_chunked_rows_mode(_CHUNK)
    else:
        connection.set_single_row_mode()
