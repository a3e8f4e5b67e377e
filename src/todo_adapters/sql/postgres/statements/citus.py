"""The differences on Citus, which stores the rows of each user on one of several nodes.

A node checks row-level security by its own setting `todo.user_id`. Citus propagates a setting to the nodes only if the
command SET LOCAL makes it within a transaction block, and if `citus.propagate_set_commands` is `local`; it does not
propagate the function `set_config`.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from psycopg.pq import Escaping
from psycopg.pq.abc import PGconn

from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.statements import this_user
from todo_adapters.sql.tables import ROLE, metadata, users
from todo_adapters.sql.values import Row
from todo_domain.errors import NotIsolated, Unavailable

IS_CITUS: Final = "SELECT FROM pg_extension WHERE extname = 'citus'"
PROPAGATION: Final = "citus.propagate_set_commands"
NOT_PROPAGATED: Final = f"the nodes do not learn whose rows to show: set {PROPAGATION} to local for this database"


def _text(value: str) -> sa.ColumnElement[Any]:
    return sa.literal_column(f"'{value}'")


def _open_shards(table: str) -> sa.Select[Any]:
    asked = _text("SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = ''%s''::regclass")
    found = sa.func.run_command_on_shards(_text(table), asked).table_valued("result", name="found")
    return (
        sa.select(_text(table), sa.func.count()).select_from(found).where(found.c.result.is_distinct_from(_text("t")))
    )


_DISTRIBUTED: Final[sa.Select[Any]] = (
    sa.select(sa.func.array_agg(sa.literal_column("logicalrelid::text")))
    .select_from(sa.text("pg_dist_partition"))
    .where(sa.literal_column("logicalrelid").in_([sa.func.to_regclass(_text(name)) for name in metadata.tables]))
)
FACTS: Final = Transaction(
    sa.select(
        _DISTRIBUTED.scalar_subquery(),
        sa.select(sa.literal_column("rolcanlogin"))
        .select_from(sa.text("pg_roles"))
        .where(sa.literal_column("rolname") == _text(ROLE))
        .scalar_subquery(),
        sa.func.has_sequence_privilege(
            _text(ROLE), sa.func.pg_get_serial_sequence(_text("tasks"), _text("id")), _text("USAGE")
        ),
    )
)
"""Returns one row for `require_ready`, which begins with the names of the distributed tables, or null."""

USER_ON_NODE: Final = Transaction(
    sa.select(
        sa.func.coalesce(sa.func.max(users.c.id), sa.func.current_setting(_text("todo.user_id"), sa.true()))
    ).where(this_user)
)
"""Returns the setting `todo.user_id` of the node of a user, who may have no rows, for `require_user_on_node`."""

ROW_SECURITY: Final = Transaction(sa.union_all(*map(_open_shards, metadata.tables)), alone=True)
"""Reads the state of each shard, and so needs every table to be distributed; see `require_row_security`."""


def user_on_nodes(connection: PGconn, user: str) -> bytes:
    """Return the command that sets the user on each node of the transaction.

    SET has no parameters, so libpq quotes the user id as a literal. The command must follow another statement of its
    transaction, because only then is a pipelined transaction a block.
    """
    return b"SET LOCAL todo.user_id TO " + Escaping(connection).escape_literal(user.encode())


def require_ready(distributed: list[str] | None, logs_in: bool, gives_ids: bool) -> None:  # noqa: FBT001  what a row of FACTS holds
    """Raise Unavailable, which names the problem, unless statements reach the rows on the nodes.

    If no table is distributed, Citus serves like PostgreSQL, and there is no problem.
    """
    if not distributed:
        return
    for name in metadata.tables:
        if name not in distributed:
            call = f"create_distributed_table('{name}', 'user_id', colocate_with := 'users')"
            raise Unavailable(f"the table {name} is not distributed: run SELECT {call} on the coordinator")
    if not logs_in:
        raise Unavailable(f"the coordinator connects to the nodes as {ROLE}: run ALTER ROLE {ROLE} LOGIN")
    if not gives_ids:
        raise Unavailable(f"tasks get no ids: grant USAGE on the sequence of tasks.id to {ROLE}")


def require_user_on_node(user: str, received: str | None) -> None:
    """Raise NotIsolated unless the node shows the rows of this user."""
    if received != user:
        raise NotIsolated(NOT_PROPAGATED)


def require_row_security(rows: list[Row]) -> None:
    """Raise NotIsolated, which names the table, unless row-level security is in force on every shard."""
    for table, open_shards in rows:
        if open_shards:
            raise NotIsolated(f"row-level security is not in force on {open_shards} shard(s) of {table}: restore it")
