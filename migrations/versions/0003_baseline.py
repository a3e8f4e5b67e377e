"""The first schema: users, tasks, tombstones, idempotency keys; on PostgreSQL, the role and the policies over them.

0001 and 0002 belonged to unreleased versions, whose databases are not upgraded.

On PostgreSQL a rule about one column is the check of a domain, which costs a write less than the check of a table. To
add a column of such a domain, PostgreSQL would rewrite the table: a later migration adds a column of a plain type and
a check that is NOT VALID, and validates it afterwards.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, DOMAIN

revision = "0003"
down_revision = None

_TEXTS: Final = sa.Text().with_variant(ARRAY(sa.Text()), "postgresql")
_FOLDED: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INSTANT: Final = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
_DAY: Final = sa.Date().with_variant(sa.Text(), "sqlite")
_EMPTY: Final = {"postgresql": "'{}'", "sqlite": "'[]'"}

_LARGEST_ID: Final = 9007199254740991

_GRANTS: Final = {
    "users": "SELECT, INSERT, UPDATE",
    "tasks": "SELECT, INSERT, UPDATE, DELETE",
    "tombstones": "SELECT, INSERT, DELETE",
    "idempotency_keys": "SELECT, INSERT, UPDATE, DELETE",
}
_WHOSE: Final = {"users": "id"}

_DOMAINS: Final = {
    "todo_user_id": ("text", "length(VALUE) BETWEEN 1 AND 255"),
    "todo_counter": ("bigint", "VALUE BETWEEN 0 AND 9007199254740991"),
    "todo_task_count": ("integer", "VALUE >= 0"),
    "todo_title": ("text", "length(VALUE) BETWEEN 1 AND 255"),
    "todo_title_key": ('text COLLATE "C"', "length(VALUE) BETWEEN 1 AND 765"),
    "todo_description": ("text", "length(VALUE) <= 5000"),
    "todo_description_key": ('text COLLATE "C"', "length(VALUE) <= 15000"),
    "todo_priority": ("smallint", "VALUE BETWEEN 0 AND 3"),
    "todo_tags": ("text[]", "cardinality(VALUE) <= 20"),
    "todo_revision": ("bigint", "VALUE >= 1"),
    "todo_uid": ('text COLLATE "C"', "length(VALUE) BETWEEN 10 AND 128"),
    "todo_position": ('text COLLATE "C"', "length(VALUE) BETWEEN 1 AND 64"),
    "todo_extra": ("text", "octet_length(VALUE) BETWEEN 3 AND 4096"),
    "todo_key": ("text", "length(VALUE) BETWEEN 1 AND 255"),
    "todo_fingerprint": ("bytea", "length(VALUE) BETWEEN 1 AND 64"),
}

# The role belongs to the whole server, so other databases may create it at the same time, and some logins may not at
# all. The SQLSTATE of our own marks a message that is meant for the administrator as it stands.
_ROLE = """
DO $$
DECLARE
    login text := quote_ident(current_user);
    superuser boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    since_16 boolean := current_setting('server_version_num')::int >= 160000;
    options text := CASE WHEN since_16 THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END;
    membership text := 'GRANT todo_app TO ' || login || options;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'todo_app') THEN
        BEGIN
            CREATE ROLE todo_app NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION USING ERRCODE = 'TD001', MESSAGE = 'this login may not create roles: have an '
                    || 'administrator run CREATE ROLE todo_app NOLOGIN; ' || membership || ';';
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'todo_app' AND (rolsuper OR rolbypassrls)) THEN
        RAISE EXCEPTION USING ERRCODE = 'TD001', MESSAGE = 'the role todo_app would bypass row-level security: have an '
            || 'administrator run ALTER ROLE todo_app NOSUPERUSER NOBYPASSRLS;';
    END IF;
    IF NOT superuser AND NOT pg_has_role(current_user, 'todo_app', CASE WHEN since_16 THEN 'SET' ELSE 'MEMBER' END) THEN
        BEGIN
            EXECUTE membership;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION USING ERRCODE = 'TD001', MESSAGE = 'this login may not become todo_app: have an '
                    || 'administrator run ' || membership || ';';
        END;
    END IF;
    EXECUTE 'GRANT USAGE ON SCHEMA ' || quote_ident(current_schema()) || ' TO todo_app';
END
$$
"""


def upgrade() -> None:
    """Create everything; nothing is there yet that could be in the way."""
    if _on_postgresql():
        for name, (type_, check) in _DOMAINS.items():
            # Nothing is stored yet, so there is nothing that the check would have to wait for.
            op.execute(
                "-- squawk-ignore ban-create-domain-with-constraint\n"
                f"CREATE DOMAIN {name} AS {type_} CONSTRAINT {name}_check CHECK ({check})"
            )
    _create_table(
        "users",
        _checked("id", sa.Text(), "todo_user_id", nullable=False),
        _checked("revision", sa.BigInteger(), "todo_counter", nullable=False),
        _checked("task_count", sa.Integer(), "todo_task_count", nullable=False),
        sa.Column("horizon", sa.BigInteger, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        *_on_sqlite(
            users_id_length="length(id) BETWEEN 1 AND 255",
            users_revision_range="revision BETWEEN 0 AND 9007199254740991",
            users_task_count_range="task_count >= 0",
        ),
        sa.CheckConstraint("horizon BETWEEN 0 AND revision", name="users_horizon_range"),
        postgresql_with={"fillfactor": 70},
    )
    _create_table(
        "tasks",
        _owner("tasks"),
        # A task that is put back keeps its id, which GENERATED ALWAYS would refuse.
        sa.Column("id", sa.BigInteger, sa.Identity(always=False, maxvalue=_LARGEST_ID), nullable=False),
        _checked("title", sa.Text(), "todo_title", nullable=False),
        _checked("description", sa.Text(), "todo_description"),
        sa.Column("completed_at", _INSTANT),
        _checked("title_key", _FOLDED, "todo_title_key", nullable=False),
        _checked("description_key", _FOLDED, "todo_description_key"),
        _checked("revision", sa.BigInteger(), "todo_revision", nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        _checked("priority", sa.SmallInteger(), "todo_priority", nullable=False, server_default=sa.text("0")),
        sa.Column("due_date", _DAY),
        _checked("tags", _TEXTS, "todo_tags", nullable=False, server_default=_nothing()),
        _checked("tags_key", _TEXTS, "todo_tags", nullable=False, server_default=_nothing()),
        _checked("uid", _FOLDED, "todo_uid"),
        _checked("position", _FOLDED, "todo_position"),
        _checked("extra", sa.Text(), "todo_extra"),
        sa.PrimaryKeyConstraint("user_id", "id", name="tasks_pkey"),
        *_on_sqlite(
            tasks_id_range="id BETWEEN 1 AND 9007199254740991",
            tasks_title_length="length(title) BETWEEN 1 AND 255",
            tasks_description_length="length(description) <= 5000",
            tasks_title_key_length="length(title_key) BETWEEN 1 AND 765",
            tasks_description_key_length="length(description_key) <= 15000",
            tasks_revision_range="revision >= 1",
            tasks_priority_range="priority BETWEEN 0 AND 3",
            tasks_tags_count="json_array_length(tags) <= 20",
            tasks_tags_key_count="json_array_length(tags_key) <= 20",
            tasks_uid_length="length(uid) BETWEEN 10 AND 128",
            tasks_position_length="length(position) BETWEEN 1 AND 64",
            tasks_extra_length="length(CAST(extra AS BLOB)) BETWEEN 3 AND 4096",
        ),
    )
    _create_table(
        "tombstones",
        _owner("tombstones"),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", _INSTANT, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("uid", _FOLDED),
        sa.PrimaryKeyConstraint("user_id", "task_id", name="tombstones_pkey"),
    )
    _create_table(
        "idempotency_keys",
        _owner("idempotency_keys"),
        _checked("key", sa.Text(), "todo_key", nullable=False),
        _checked("fingerprint", sa.LargeBinary(), "todo_fingerprint", nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),
        *_on_sqlite(
            idempotency_keys_key_length="length(key) BETWEEN 1 AND 255",
            idempotency_keys_fingerprint_length="length(fingerprint) BETWEEN 1 AND 64",
        ),
    )
    op.create_index("tasks_newest", "tasks", ["user_id", sa.text("created_at DESC"), sa.text("id DESC")])
    for table in ("tasks", "tombstones", "idempotency_keys"):
        op.create_index(f"{table}_revision", table, ["user_id", "revision"], unique=True)
    for table in ("tasks", "tombstones"):
        named = {"postgresql_where": sa.text("uid IS NOT NULL"), "sqlite_where": sa.text("uid IS NOT NULL")}
        op.create_index(f"{table}_uid", table, ["user_id", "uid"], unique=True, **named)
    if _on_postgresql():
        _raise_the_wall()
    else:
        _count_ids()


def downgrade() -> None:
    """Drop every table: the empty schema holds no data. The role stays, for other databases of the server."""
    for table in ("idempotency_keys", "tombstones", "tasks", "users"):
        op.drop_table(table)
    if _on_postgresql():
        for domain in _DOMAINS:
            op.execute(f"DROP DOMAIN {domain}")
    else:
        op.drop_table("task_ids")


def _on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _create_table(name: str, *parts: sa.schema.SchemaItem, **options: Any) -> None:  # noqa: ANN401  of either dialect
    op.create_table(name, *parts, sqlite_with_rowid=False, **options)


def _checked(name: str, type_: sa.types.TypeEngine[Any], domain: str, **options: Any) -> sa.Column[Any]:  # noqa: ANN401  a column's options
    """Return a column that is of the domain on PostgreSQL, and of the type on SQLite."""
    named = DOMAIN(domain, sa.Text(), create_type=False)
    return sa.Column(name, named if _on_postgresql() else type_, **options)


def _on_sqlite(**checks: str) -> list[sa.CheckConstraint]:
    return [] if _on_postgresql() else [sa.CheckConstraint(check, name=name) for name, check in checks.items()]


def _nothing() -> sa.TextClause:
    return sa.text(_EMPTY[op.get_context().dialect.name])


def _owner(table: str) -> sa.Column[str]:
    owner = sa.ForeignKey("users.id", name=f"{table}_user_id_fkey", ondelete="CASCADE")
    return sa.Column("user_id", sa.Text, owner, nullable=False)


def _raise_the_wall() -> None:
    op.execute(_ROLE)
    op.execute("GRANT SELECT ON todo_alembic_version TO todo_app")
    for table, privileges in _GRANTS.items():
        mine = f"{_WHOSE.get(table, 'user_id')} = nullif(current_setting('todo.user_id', true), '')"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner_only ON {table} FOR ALL USING ({mine}) WITH CHECK ({mine})")
        op.execute(f"GRANT {privileges} ON {table} TO todo_app")


def _count_ids() -> None:
    op.create_table(
        "task_ids",
        sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.CheckConstraint("one = 1", name="task_ids_one_row"),
    )
    op.execute("INSERT INTO task_ids (one, last) VALUES (1, 0)")
