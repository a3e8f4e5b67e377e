"""The initial data of every contender: the same users and tasks with the same numbers, in its own tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import psycopg

from servers.postgres import DURABLE, PostgresServer
from todo_adapters.sql.migrations import upgrade

USERS: Final = 1_000
TASKS: Final = 100
"""Tasks of each user."""

_BEGINNING: Final = "2026-01-01 00:00:00+00"


def user_name(number: int) -> str:
    """Return the id of a user, counted from 1."""
    return f"user_{number:06d}"


def first_task(user: int) -> int:
    """Return the id of a user's first task; the others follow."""
    return (user - 1) * TASKS + 1


# Tasks are a minute apart. Their times have all six decimals, as those of a clock have: a time of whole seconds takes
# longer to write as JSON.
#
# The plain tables, with the index for the list. `more` holds the columns of members that only some contenders have.
_PLAIN: Final = """
CREATE TABLE task (
    id serial PRIMARY KEY,
    user_id text NOT NULL,
    title varchar(255) NOT NULL,
    description text,
    completed boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL{more}
);
INSERT INTO task (user_id, title, description, created_at, updated_at)
SELECT 'user_' || to_char(u, 'FM000000'), 'Task ' || t, 'What has to be done, number ' || t, at, at
FROM generate_series(1, {users}) u, generate_series(1, {tasks}) t,
    LATERAL (SELECT timestamptz '{beginning}' + t * interval '61.234567 seconds') AS moment (at)
ORDER BY u, t;
CREATE INDEX task_newest ON task (user_id, created_at DESC, id DESC)
"""

_MORE: Final = """,
    uid text,
    completed_at timestamptz,
    priority text NOT NULL DEFAULT 'none',
    due_date date,
    tags jsonb NOT NULL DEFAULT '[]',
    position text,
    extra jsonb NOT NULL DEFAULT '{}',
    revision integer NOT NULL DEFAULT 1"""

_MORE_SQLITE: Final = _MORE.replace("timestamptz", "text").replace("jsonb", "text").replace("date,", "text,")

_PLAIN_SQLITE: Final = """
PRAGMA journal_mode = WAL;
CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    title VARCHAR(255) NOT NULL,
    description TEXT,
    completed BOOLEAN NOT NULL DEFAULT 0,
    created_at DATETIME NOT NULL,
    updated_at DATETIME NOT NULL{more}
);
CREATE INDEX task_newest ON task (user_id, created_at DESC, id DESC);
WITH RECURSIVE
    u (u) AS (SELECT 1 UNION ALL SELECT u + 1 FROM u WHERE u < {users}),
    t (t) AS (SELECT 1 UNION ALL SELECT t + 1 FROM t WHERE t < {tasks})
INSERT INTO task (user_id, title, description, created_at, updated_at)
SELECT format('user_%06d', u), 'Task ' || t, 'What has to be done, number ' || t,
    strftime('%Y-%m-%d %H:%M:%f567', '2026-01-01', (t * 61.234) || ' seconds'),
    strftime('%Y-%m-%d %H:%M:%f567', '2026-01-01', (t * 61.234) || ' seconds')
FROM u CROSS JOIN t ORDER BY u, t;
"""

_OURS_SQLITE: Final = """
WITH RECURSIVE u (u) AS (SELECT 1 UNION ALL SELECT u + 1 FROM u WHERE u < {users})
INSERT INTO users (id, revision, task_count, horizon, created_at)
SELECT format('user_%06d', u), {tasks}, {tasks}, 0, '2026-01-01T00:00:00.000000Z' FROM u;
WITH RECURSIVE
    u (u) AS (SELECT 1 UNION ALL SELECT u + 1 FROM u WHERE u < {users}),
    t (t) AS (SELECT 1 UNION ALL SELECT t + 1 FROM t WHERE t < {tasks})
INSERT INTO tasks (user_id, id, title, title_key, description, description_key, revision, created_at, updated_at)
SELECT format('user_%06d', u), (u - 1) * {tasks} + t, 'Task ' || t, 'task ' || t,
    'What has to be done, number ' || t, 'what has to be done, number ' || t, t,
    strftime('%Y-%m-%dT%H:%M:%f567Z', '2026-01-01', (t * 61.234) || ' seconds'),
    strftime('%Y-%m-%dT%H:%M:%f567Z', '2026-01-01', (t * 61.234) || ' seconds')
FROM u CROSS JOIN t ORDER BY u, t;
UPDATE task_ids SET last = {users} * {tasks};
"""


class Data(NamedTuple):
    """The places of the contenders' data: a database for each, and SQLite files."""

    server: PostgresServer
    directory: Path

    @property
    def ours_sqlite(self) -> Path:
        """The service's file."""
        return self.directory / "ours.db"

    @property
    def baseline_sqlite(self) -> Path:
        """The baseline's file."""
        return self.directory / "baseline.db"

    @property
    def fastify_sqlite(self) -> Path:
        """Fastify's file."""
        return self.directory / "fastify.db"

    def url(self, contender: str) -> str:
        """Return the URL of a contender's database."""
        return self.server.url(contender)


@contextmanager
def prepared() -> Iterator[Data]:
    """Start a server that flushes every commit to disk, fill every contender's database, and remove all of it."""
    with PostgresServer(settings=DURABLE) as server, TemporaryDirectory(prefix="todo-bench-") as name:
        directory = Path(name)
        create_ours(server, "ours")
        fill_ours(server, "ours", first=1, last=USERS)
        _fill_plain(server, "baseline")
        _fill_plain(server, "fastify", _MORE)
        for database in ("ours", "baseline", "fastify"):
            server.execute("VACUUM ANALYZE", database=database)
        # Flush the written data now, not during a measurement.
        server.execute("CHECKPOINT")
        data = Data(server, directory)
        upgrade(f"sqlite:///{data.ours_sqlite}")
        for file, script, more in (
            (data.ours_sqlite, _OURS_SQLITE, ""),
            (data.baseline_sqlite, _PLAIN_SQLITE, ""),
            (data.fastify_sqlite, _PLAIN_SQLITE, _MORE_SQLITE),
        ):
            with closing(sqlite3.connect(file)) as connection:
                connection.executescript(f"{script.format(users=USERS, tasks=TASKS, more=more)};ANALYZE;")
        yield data


def create_ours(server: PostgresServer, database: str) -> None:
    """Create a database with the service's tables."""
    server.create_database(database)
    upgrade(server.url(database))


def fill_ours(server: PostgresServer, database: str, *, first: int, last: int, tasks: int = TASKS) -> None:
    """Insert the tasks of the users from `first` to `last`, with the ids of `first_task`.

    Several calls may fill a database at once. Ids continue after the last user's.
    """
    values = {"first": first, "last": last, "tasks": tasks, "each": TASKS, "beginning": _BEGINNING}
    with psycopg.connect(server.url(database)) as connection:
        # The administrator writes for all users, and every reference is valid: 10 million need no check.
        connection.execute("SET row_security = off")
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "INSERT INTO users (id, revision, task_count, horizon, created_at)"
            " SELECT 'user_' || to_char(u, 'FM000000'), %(tasks)s, %(tasks)s, 0, %(beginning)s"
            " FROM generate_series(%(first)s::int, %(last)s::int) u",
            values,
        )
        connection.execute(
            "INSERT INTO tasks (user_id, id, title, title_key, description, description_key, revision,"
            " created_at, updated_at) OVERRIDING SYSTEM VALUE"
            " SELECT 'user_' || to_char(u, 'FM000000'), (u - 1) * %(each)s + t, 'Task ' || t, 'task ' || t,"
            " 'What has to be done, number ' || t, 'what has to be done, number ' || t, t, at, at"
            " FROM generate_series(%(first)s::int, %(last)s::int) u, generate_series(1, %(tasks)s::int) t,"
            " LATERAL (SELECT %(beginning)s::timestamptz + t * interval '61.234567 seconds') AS moment (at)"
            " ORDER BY u, t",
            values,
        )
        connection.execute(
            "SELECT setval(name, greatest(%(id)s::bigint, pg_sequence_last_value(name::regclass)))"
            " FROM pg_get_serial_sequence('tasks', 'id') name",
            {"id": first_task(last) - 1 + tasks},
        )


def _fill_plain(server: PostgresServer, database: str, more: str = "") -> None:
    server.create_database(database)
    with psycopg.connect(server.url(database)) as connection:
        for statement in _PLAIN.format(users=USERS, tasks=TASKS, beginning=_BEGINNING, more=more).split(";"):
            connection.execute(statement.encode())
