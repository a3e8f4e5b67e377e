"""Users, their tasks, their tombstones, their idempotency keys; on PostgreSQL, the role and the policies over them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INSTANT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
_FOLDED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_GRANTS = {
    "users": "SELECT, INSERT, UPDATE",
    "tasks": "SELECT, INSERT, UPDATE, DELETE",
    "tombstones": "SELECT, INSERT, DELETE",
    "idempotency_keys": "SELECT, INSERT, UPDATE, DELETE",
}
_WHOSE = {"users": "id"}

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
    op.create_table(
        "users",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("task_count", sa.Integer, nullable=False),
        sa.Column("horizon", sa.BigInteger, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.CheckConstraint("length(id) BETWEEN 1 AND 255", name="users_id_length"),
        sa.CheckConstraint("revision BETWEEN 0 AND 9007199254740991", name="users_revision_range"),
        sa.CheckConstraint("task_count >= 0", name="users_task_count_range"),
        sa.CheckConstraint("horizon BETWEEN 0 AND revision", name="users_horizon_range"),
        postgresql_with={"fillfactor": 70},
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tasks",
        _owner("tasks"),
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("completed_at", _INSTANT),
        sa.Column("title_key", _FOLDED, nullable=False),
        sa.Column("description_key", _FOLDED),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "id", name="tasks_pkey"),
        sa.CheckConstraint("id BETWEEN 1 AND 9007199254740991", name="tasks_id_range"),
        sa.CheckConstraint("length(title) BETWEEN 1 AND 255", name="tasks_title_length"),
        sa.CheckConstraint("length(description) <= 5000", name="tasks_description_length"),
        sa.CheckConstraint("length(title_key) BETWEEN 1 AND 765", name="tasks_title_key_length"),
        sa.CheckConstraint("length(description_key) <= 15000", name="tasks_description_key_length"),
        sa.CheckConstraint("revision >= 1", name="tasks_revision_range"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tombstones",
        _owner("tombstones"),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", _INSTANT, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "task_id", name="tombstones_pkey"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "idempotency_keys",
        _owner("idempotency_keys"),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),
        sa.CheckConstraint("length(key) BETWEEN 1 AND 255", name="idempotency_keys_key_length"),
        sa.CheckConstraint("length(fingerprint) BETWEEN 1 AND 64", name="idempotency_keys_fingerprint_length"),
        sqlite_with_rowid=False,
    )
    op.create_index("tasks_newest", "tasks", ["user_id", sa.text("created_at DESC"), sa.text("id DESC")])
    op.create_index("tasks_revision", "tasks", ["user_id", "revision"], unique=True)
    op.create_index("tombstones_revision", "tombstones", ["user_id", "revision"], unique=True)
    op.create_index("idempotency_keys_revision", "idempotency_keys", ["user_id", "revision"], unique=True)
    if op.get_context().dialect.name == "postgresql":
        _raise_the_wall()
    else:
        _count_ids()


def downgrade() -> None:
    """Drop every table: the empty schema holds no data. The role stays, for other databases of the server."""
    for table in ("idempotency_keys", "tombstones", "tasks", "users"):
        op.drop_table(table)
    if op.get_context().dialect.name == "sqlite":
        op.drop_table("task_ids")


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
