"""Checks that PostgreSQL isolates users, by trying to break in. Only these statements, on purpose, name no user."""

from __future__ import annotations

import secrets
from typing import Any, Final

import psycopg
import sqlalchemy as sa

from todo_adapters.sql.postgres.connections.client import PostgresClient
from todo_adapters.sql.postgres.connections.session import CHECKED, require_usable
from todo_adapters.sql.postgres.errors import NO_PRIVILEGE, NO_SUCH_ROLE
from todo_adapters.sql.postgres.statements import citus
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.schema import BEHIND, VERSION_TABLE, is_behind
from todo_adapters.sql.statements import ONE, ZERO, parameter
from todo_adapters.sql.tables import ROLE, feeds, idempotency_keys, tasks, tombstones, trash, users
from todo_domain.deadline import Deadline
from todo_domain.errors import NotIsolated, Unavailable

_NOBODY: Final = ""
_SOMEBODY: Final = "readiness"
_TABLES: Final = (users, tasks, tombstones, trash, idempotency_keys, feeds)
_NAMES: Final = (VERSION_TABLE, *(table.name for table in _TABLES))

_SCHEMAS: Final = (
    sa.select(sa.func.count(sa.distinct(sa.literal_column("relnamespace"))))
    .select_from(sa.text("pg_class"))
    .where(sa.literal_column("oid").in_([sa.func.to_regclass(sa.literal_column(f"'{name}'")) for name in _NAMES]))
    .scalar_subquery()
)
_IS_CITUS: Final[sa.ColumnElement[bool]] = sa.literal_column(f"EXISTS ({citus.IS_CITUS})")
_SESSION: Final = Transaction(
    sa.select(_IS_CITUS, _SCHEMAS, *(sa.func.current_setting(sa.literal_column(f"'{name}'")) for name in CHECKED))
)
"""This statement needs neither the tables nor a privilege."""

_FACTS: Final = Transaction(
    sa.select(
        sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)).scalar_subquery(),
        sa.and_(*(sa.func.row_security_active(sa.literal_column(f"'{table.name}'")) for table in _TABLES)),
        sa.or_(*(sa.exists(sa.select(sa.literal_column("1")).select_from(table)) for table in _TABLES)),
        sa.func.current_setting(sa.literal_column("'transaction_read_only'")),
    )
)
_OTHER: Final = parameter("other", sa.Text)
_TASK_OF_ANOTHER: Final[dict[str, sa.ColumnElement[Any]]] = {
    "user_id": _OTHER,
    "title": _OTHER,
    "title_key": _OTHER,
    "revision": ONE,
    "created_at": sa.func.now(),
    "updated_at": sa.func.now(),
}
_TRESPASSES: Final = tuple(
    # Without RETURNING, which a policy for reading might refuse. The error at the end rolls a successful insert back.
    Transaction(
        sa.insert(table).values(values).inline(),
        sa.text("SELECT 1 / (SELECT count(*) FROM pg_class WHERE false)"),
        alone=True,
    )
    for table, values in (
        (users, {"id": _OTHER, "revision": ZERO, "task_count": ZERO, "horizon": ZERO, "created_at": sa.func.now()}),
        (tombstones, {"user_id": _OTHER, "task_id": ONE, "revision": ONE, "deleted_at": sa.func.now(), "number": ONE}),
        (tasks, _TASK_OF_ANOTHER),
        (trash, _TASK_OF_ANOTHER | {"task_id": ONE, "deleted_at": sa.func.now()}),
        (
            idempotency_keys,
            {
                "user_id": _OTHER,
                "key": _OTHER,
                "fingerprint": sa.literal_column("'\\x00'"),
                "task_id": ONE,
                "revision": ONE,
                "created_at": sa.func.now(),
                "number": ONE,
            },
        ),
        (
            feeds,
            {"user_id": _OTHER, "digest": sa.literal_column("'\\x00'"), "created_at": sa.func.now()},
        ),
    )
)


async def check_isolation(client: PostgresClient, deadline: Deadline) -> None:
    """Return if the database can serve this release and isolates users; otherwise raise Unavailable with the reason."""
    try:
        await _check(client, deadline)
    except psycopg.Error as error:
        if error.sqlstate == NO_SUCH_ROLE:
            raise Unavailable(
                f"the role {ROLE} is missing: run todo migrate, or if the database was restored without the role,"
                " create the role and restore the database again"
            ) from error
        if error.sqlstate == NO_PRIVILEGE:
            raise Unavailable(
                f"this login may not act as {ROLE}: run todo migrate, or have an administrator grant {ROLE} to it"
            ) from error
        raise


async def _check(client: PostgresClient, deadline: Deadline) -> None:
    (((on_citus, schemas, *session),),) = await client.run(_SESSION, {"owner": _NOBODY}, deadline=deadline)
    require_usable(*session)
    if schemas > 1:
        raise Unavailable("a table of another schema hides todo's: put todo's schema first on the search_path")
    if on_citus:
        ((ready,),) = await client.run(citus.FACTS, {"owner": _NOBODY}, deadline=deadline)
        citus.require_ready(*ready)
        (((received,),),) = await client.run(citus.USER_ON_NODE, {"owner": _SOMEBODY}, deadline=deadline)
        citus.require_user_on_node(_SOMEBODY, received)
    (((revision, walled, visible, read_only),),) = await client.run(_FACTS, {"owner": _NOBODY}, deadline=deadline)
    if is_behind(revision):
        raise Unavailable(BEHIND)
    if read_only == "on":
        raise Unavailable("the database is read-only for now: try again later")
    if not walled or visible:
        raise NotIsolated("row-level security is not in force: restore it before serving anybody")


async def prove_isolation(client: PostgresClient) -> None:
    """Try to write a row of another user into each table; raise Unavailable unless PostgreSQL refuses every one.

    On Citus, ask each shard of each table as well, because one row is on one shard.
    """
    (((on_citus, *_),),) = await client.run(_SESSION, {"owner": _NOBODY})
    if on_citus and await _distributed(client):
        (states,) = await client.run(citus.ROW_SECURITY, {"owner": _NOBODY})
        citus.require_row_security(states)
    me, other = (f"proof-{secrets.token_hex(16)}" for _ in range(2))
    for trespass in _TRESPASSES:
        try:
            await client.run(trespass, {"owner": me, "other": other})
        except psycopg.errors.InsufficientPrivilege:
            continue
        except psycopg.Error:  # an error of the foreign key, or the one at the end: the policy allowed the insert
            pass
        raise NotIsolated("row-level security is not in force: a write to another user's row succeeded")


async def _distributed(client: PostgresClient) -> bool:
    (((tables, *_),),) = await client.run(citus.FACTS, {"owner": _NOBODY})
    return bool(tables)
