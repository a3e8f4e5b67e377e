"""`todo purge` of many expired rows: how long it takes, the memory, and the longest wait of a writer beside it.

TODO_DRILLS=long .venv/bin/python -m pytest -s tests/drills/test_purged.py
"""

import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from servers.todo import TODO, Served, environment
from support.length import LONG
from support.memory import most_memory

SECRET = "8c1f5e0f7c1b9a3d8642c7e1f0a95b3d2c48"
USERS = 334 if LONG else 10
EACH = 1_000
"""Rows of each kind, of each user."""

OLD = (datetime.now(UTC) - timedelta(days=200)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
SERIES = {
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {most})",
    "postgres": "WITH series(n) AS (SELECT generate_series(1, {most}))",
}
USER = f"'user-' || ((n - 1) / {EACH})"
ROWS = {
    "users": (f"INSERT INTO users (id, revision, task_count, horizon, created_at) SELECT 'user-' || (n - 1), {EACH}, 0,"
              f" 0, '{OLD}' FROM series"),
    "tombstones": (
        "INSERT INTO tombstones (user_id, task_id, revision, deleted_at, number)"
        f" SELECT {USER}, 1000000 + n, 1 + (n - 1) % {EACH}, '{OLD}', 1 + (n - 1) % {EACH} FROM series"
    ),
    "trash": (
        "INSERT INTO trash (user_id, task_id, title, title_key, revision, created_at, updated_at, deleted_at)"
        f" SELECT {USER}, 1000000 + n, 'gone', 'gone', 1 + (n - 1) % {EACH}, '{OLD}', '{OLD}', '{OLD}' FROM series"
    ),
    "idempotency_keys": (
        "INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id, revision, created_at, number)"
        f" SELECT {USER}, 'key-' || n, {{blob}}, n, 1 + (n - 1) % {EACH}, '{OLD}', 1 + (n - 1) % {EACH} FROM series"
    ),
}  # fmt: skip
BLOB = {"sqlite": "x'00ff'", "postgres": "'\\x00ff'::bytea"}


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    """The engine, the settings of the service, those of an operator, and a function that runs statements as anybody."""
    if request.param == "sqlite":

        def run(statement):
            with closing(sqlite3.connect(tmp_path / "todo.db")) as connection, connection:
                return connection.execute(statement).fetchall()

        return "sqlite", {}, {}, run
    databases, name = request.getfixturevalue("postgres_databases"), request.getfixturevalue("postgres_database")

    def run_as_superuser(statement):
        with psycopg.connect(databases.server.url(name)) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    urls = (databases.url(name), databases.url(name, databases.OWNER))
    return "postgres", *({"TODO_DATABASE_URL": url} for url in urls), run_as_superuser


class Writer(threading.Thread):
    """Writes one task after the other, in turn for a user of its own and for one whose rows are purged."""

    def __init__(self, served):
        super().__init__()
        self._served = served
        self._tokens = [served.token(user) for user in ("writer", "user-0")]
        self.enough = threading.Event()
        self.waits = []
        self.statuses = set()

    def run(self):
        while not self.enough.is_set():
            begun = time.perf_counter()
            token = self._tokens[len(self.waits) % 2]
            self.statuses.add(self._served.request("POST", "/api/me/tasks", token, {"title": "x"}).status)
            self.waits.append(time.perf_counter() - begun)

    def end(self):
        self.enough.set()
        self.join()
        assert self.statuses == {201}
        waits = sorted(self.waits)
        return (
            f"{len(waits):,} writes beside it: {waits[len(waits) // 2] * 1000:.0f} ms, {waits[-1] * 1000:.0f} at most"
        )


def test_a_purge_of_many_rows_is_short_for_those_who_write_meanwhile(tmp_path, place):
    engine, settings, operators, run = place
    with Served(tmp_path, TODO_JWT_SECRET=SECRET, **settings) as served:
        for table, insert in ROWS.items():
            most = USERS if table == "users" else USERS * EACH
            run(f"{SERIES[engine].format(most=most)} {insert.format(blob=BLOB[engine])}")
        writer, said, used = Writer(served), tmp_path / "said", 0
        writer.start()
        begun = time.perf_counter()
        with said.open("w") as file:
            process = subprocess.Popen([TODO, "purge"], cwd=tmp_path, env=environment(**operators), stdout=file)
            while process.poll() is None:
                used = most_memory(process.pid) or used
                time.sleep(0.05)
        took = time.perf_counter() - begun
        waits = writer.end()
    assert process.returncode == 0
    assert said.read_text().endswith(f" of {USERS + 1:,} users\n")
    left = {table: run(f"SELECT count(*) FROM {table} WHERE user_id <> 'writer'")[0][0] for table in [*ROWS][1:]}
    assert left == dict.fromkeys(left, 0)
    print(f"{engine}: {3 * USERS * EACH:,} rows in {took:.1f} s, {used:.0f} MiB; {waits}")  # noqa: T201  the figures
    assert 0 < used < 150
