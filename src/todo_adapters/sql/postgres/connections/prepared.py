"""The statements that a connection has prepared, and their names."""

from __future__ import annotations

import asyncio
from functools import partial

from psycopg import Error
from psycopg.pq.abc import PGresult

from todo_adapters.sql.postgres.connections.in_flight import require_success
from todo_adapters.sql.postgres.statements.transaction import Statement, Transaction


class PreparedStatements:
    """The statements that one connection has prepared. A name is the statement's name with a generation."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        self._ready: set[Transaction] = set()
        self._generation = b""

    def has(self, transaction: Transaction) -> bool:
        """Whether all statements of the transaction have been sent to be prepared."""
        return transaction in self._ready

    def missing(self, transaction: Transaction) -> list[Statement]:
        """Return the statements of the transaction that are still to be prepared."""
        needed = dict.fromkeys((*transaction.statements, *transaction.behind))
        return [each for each in needed if each.name not in self._known]

    def ready(self, transaction: Transaction) -> None:
        """Note that all statements of the transaction have been sent to be prepared."""
        self._ready.add(transaction)
        self._known.update(statement.name for statement in (*transaction.statements, *transaction.behind))

    def watch(self, statement: Statement, outcome: asyncio.Future[list[PGresult]]) -> None:
        """Have the statement prepared again if this outcome is a failure."""
        outcome.add_done_callback(partial(self._prepared, statement.name))

    def name(self, statement: Statement) -> bytes:
        """Return the name under which the statement is prepared."""
        return statement.name + self._generation

    def forget(self) -> None:
        """Prepare every statement again under another name."""
        self._known.clear()
        self._ready.clear()
        self._generation += b"'"

    def _prepared(self, name: bytes, outcome: asyncio.Future[list[PGresult]]) -> None:
        try:
            require_success(outcome.result())
        except Error:
            self._known.discard(name)
            self._ready.clear()
