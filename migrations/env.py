"""What Alembic runs around the migrations. `todo_adapters.sql.migrations` connects, locks and retries."""

from __future__ import annotations

from alembic import context

from todo_adapters.sql.schema import VERSION_TABLE
from todo_adapters.sql.tables import metadata, sqlite_metadata

_CONNECTION = "connection"
_DIALECT = "dialect"


def _print() -> None:
    context.configure(
        dialect_name=context.config.attributes[_DIALECT],
        version_table=VERSION_TABLE,
        literal_binds=True,
        transactional_ddl=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _run() -> None:
    connection = context.config.attributes.get(_CONNECTION)
    if connection is None:
        raise SystemExit("run todo migrate instead of alembic")
    sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        version_table=VERSION_TABLE,
        target_metadata=[metadata, sqlite_metadata] if sqlite else metadata,
        transaction_per_migration=not sqlite,  # on SQLite the caller's one transaction is around all of them
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _print()
else:
    _run()
