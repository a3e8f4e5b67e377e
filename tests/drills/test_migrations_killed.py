"""kill -9 of a migration, anywhere: the next one reaches the head, and no task is lost."""

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest

from servers.postgres import PostgresServer
from support.length import LONG
from support.next_migration import add_next_migration
from todo_adapters.sql import migrations, schema

KILLED = 9
OLD = schema.REVISIONS[-2]
AT_RANDOM = 4
EVERY = 1 if LONG else 4
"""A migration is killed at one in so many of its calls."""

# Migrates in a child, which dies before a given call to the database or the disk, or after some time.
PROGRAM = """
import os, signal, sys, time
import alembic.command, sqlalchemy
from todo_adapters.sql import migrations, schema
from todo_adapters.sql.postgres.commands import migration as postgres_migration
from todo_adapters.sql.sqlite.commands import migration as sqlite_migration

DRIVER = {"execute", "commit", "rollback"}
BUILT_IN = DRIVER | {"backup", "rename", "fsync", "unlink"}

def die_at(point):
    seen = 0
    def look(frame, event, function):
        nonlocal seen
        code = frame.f_code
        if function.__name__ in BUILT_IN if event == "c_call" else (
            event == "call" and code.co_name in DRIVER and "/psycopg/" in code.co_filename
        ):
            seen += 1
            if seen == point:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(look)

for line in sys.stdin:
    how, value, url = line.split()
    child = os.fork()
    if not child:
        if how == "at":
            die_at(int(value))
        migrations.upgrade(url)
        os._exit(0)
    if how == "after":
        time.sleep(float(value))
        os.kill(child, signal.SIGKILL)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture(autouse=True)
def _the_next(tmp_path_factory, monkeypatch):
    """This process and the one that it kills know one migration more."""
    folder = tmp_path_factory.mktemp("next")
    add_next_migration(folder, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@contextmanager
def killer():
    """Yields what migrates a database until it is killed, and returns how that process ended."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def migrate_until(how, value, url):
        program.stdin.write(f"{how} {value} {url}\n")
        program.stdin.flush()
        return int(program.stdout.readline())

    try:
        yield migrate_until
    finally:
        program.communicate(timeout=20)


def kill_everywhere(another, require_whole):
    """Kill a migration at each of its calls, and at random moments; each time the next one must do the rest."""
    points, killed, deaths = random.randrange(EVERY), 0, 0
    with killer() as migrate_until:
        while True:
            with another() as url:
                points += EVERY
                ending = migrate_until("at", points, url)
                assert migrations.upgrade(url) == schema.head()
                require_whole(url)
            if not ending:
                break
            assert ending == KILLED
            deaths += 1
        with another() as url:
            began = time.monotonic()
            assert migrate_until("at", 0, url) == 0
            whole = time.monotonic() - began
        while killed < AT_RANDOM:
            with another() as url:
                if migrate_until("after", random.uniform(0, whole), url) == KILLED:
                    killed += 1
                else:  # a busy neighbour held up the migration that was measured
                    whole /= 2
                assert migrations.upgrade(url) == schema.head()
                require_whole(url)
    print(f"\n{deaths} kills, one at each call or each {EVERY}th; {killed} at random within {whole * 1000:.0f} ms")  # noqa: T201  the figures, for -s
    assert deaths * EVERY > 20


@pytest.fixture
def postgres_server():
    """A server of this module's own: the login that migrates makes the role `todo_app`, and so alone may grant it."""
    with PostgresServer() as server:
        yield server


def test_a_killed_migration_of_postgresql_is_finished_by_the_next(postgres_server):
    postgres_server.create_database("old")
    migrations.upgrade(postgres_server.url("old"), OLD)
    columns = "user_id, title, title_key, revision, created_at, updated_at"
    postgres_server.execute(
        "INSERT INTO users VALUES ('ann', 500, 500, 0, now());"
        f"INSERT INTO tasks ({columns}) SELECT 'ann', 'Old', 'old', n, now(), now() FROM generate_series(1, 500) n",
        database="old",
    )

    @contextmanager
    def another():
        postgres_server.create_database("killed", "old")
        yield postgres_server.url("killed")
        postgres_server.drop_database("killed")

    def require_whole(_):
        facts = "SELECT count(*), sum(revision), sum(weight), max(cardinality(tags)) FROM tasks"
        assert postgres_server.execute(facts, database="killed") == [(500, 125250, 0, 0)]
        unproven = "SELECT count(*) FROM pg_constraint WHERE NOT convalidated"
        assert postgres_server.execute(unproven, database="killed") == [(0,)]

    kill_everywhere(another, require_whole)
    postgres_server.drop_database("old")


def test_a_killed_migration_of_a_file_is_finished_by_the_next_and_every_copy_is_whole(tmp_path):
    old, home = tmp_path / "old.db", tmp_path / "home"
    migrations.upgrade(f"sqlite:///{old}", OLD)
    facts = "SELECT count(*), sum(revision) FROM tasks"
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("INSERT INTO users VALUES ('ann', 5000, 5000, 0, '')")
        connection.execute(
            "INSERT INTO tasks (user_id, id, title, title_key, revision, created_at, updated_at)"
            " WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)"
            " SELECT 'ann', n, 'Old', 'old', n, '2026', '2026' FROM n"
        )
    left = set()

    @contextmanager
    def another():
        home.mkdir()
        shutil.copyfile(old, home / "todo.db")
        yield f"sqlite:///{home}/todo.db"
        shutil.rmtree(home)

    def require_whole(_):
        copies = list(home.glob(f"todo.db.at-{OLD}*"))
        assert copies
        left.update(path.name for path in home.iterdir())
        for path in (home / "todo.db", *copies):
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                assert connection.execute(facts).fetchone() == (5000, 12502500)
                at = connection.execute("SELECT version_num FROM todo_alembic_version").fetchone()
            assert at == (schema.head() if path.suffix == ".db" else OLD,)

    kill_everywhere(another, require_whole)
    assert left <= {"todo.db", "todo.db-shm", "todo.db-wal", f"todo.db.at-{OLD}", f"todo.db.at-{OLD}.2"}
