"""`todo copy` of a large file to PostgreSQL under kill -9 at random moments: it leaves nothing, or everything."""

import os
import random
import sqlite3
import subprocess
import time
from contextlib import closing
from urllib.parse import urljoin

import psycopg
import pytest

from servers.terminal import Terminal
from servers.todo import TODO, Served, environment, todo
from support.length import LONG
from support.memory import most_memory

SECRET = "8c1f5e0f7c1b9a3d8642c7e1f0a95b3d2c48"
USERS = 2_000 if LONG else 40
TASKS_EACH = 500
KILLS = 4
MOST_TRIES = 20
"""Kills at most, where a busy neighbour lets each copy come to its end before its kill."""

LONGEST = 3_600
"""Seconds that a copy may take on a busy machine."""

TAGGED, KEY = {"title": "tagged", "tags": ["Home"]}, {"Idempotency-Key": "the-key"}
NOW = "2026-03-29T12:00:00.000000Z"
DESCRIPTION = "Buy groceries, and do not forget the bread: 日本 é. " * 5
TABLES = ("users", "tasks", "tombstones", "trash", "idempotency_keys", "feeds")


def fill(path):
    """Give many users tasks, and a tenth as many deletions and keys."""
    tasks = [(f"user-{user:06}", number) for user in range(USERS) for number in range(1, TASKS_EACH + 1)]
    some = [(f"user-{user:06}", number) for user in range(USERS) for number in range(1, TASKS_EACH // 10 + 1)]
    with closing(sqlite3.connect(path)) as connection, connection:
        ((last,),) = connection.execute("SELECT last FROM task_ids")
        connection.executemany(
            f"INSERT INTO users (id, revision, task_count, horizon, created_at) VALUES (?, 600, {TASKS_EACH}, 0, ?)",
            ((f"user-{user:06}", NOW) for user in range(USERS)),
        )
        connection.executemany(
            "INSERT INTO tasks (user_id, id, uid, title, title_key, description, description_key, revision, created_at,"
            " updated_at, tags, tags_key, extra)"
            " VALUES (?1, ?2, 'uid-of-task-' || ?2, 'task ' || ?2, 'task ' || ?2, ?4, ?4, ?3, ?5, ?5,"
            " (SELECT tags FROM tasks WHERE title = 'tagged'), (SELECT tags_key FROM tasks WHERE title = 'tagged'),"
            " '{\"n\":1.5}')",
            ((user, last + id_, number, DESCRIPTION, NOW) for id_, (user, number) in enumerate(tasks, 1)),
        )
        first = last + len(tasks)
        connection.executemany(
            "INSERT INTO tombstones (user_id, task_id, uid, revision, deleted_at, number)"
            " VALUES (?, ?, 'uid-of-deletion-' || ?2, ?, ?, ?)",
            ((user, first + id_, TASKS_EACH + number, NOW, number) for id_, (user, number) in enumerate(some, 1)),
        )
        connection.executemany(
            "INSERT INTO trash (user_id, task_id, title, title_key, revision, created_at, updated_at, deleted_at)"
            " VALUES (?1, ?2, 'gone', 'gone', ?3, ?4, ?4, ?4)",
            ((user, first + id_, TASKS_EACH + number, NOW) for id_, (user, number) in enumerate(some, 1)),
        )
        connection.executemany(
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id, revision, created_at, number)"
            " VALUES (?, 'key ' || ?2, x'00ff', ?, ?, ?, ?2)",
            ((user, number, last + id_, number, NOW) for id_, (user, number) in enumerate(some, 1)),
        )
        connection.execute("UPDATE task_ids SET last = ?", [first + len(some)])
    return len(tasks)


@pytest.fixture
def target(postgres_databases):
    """The name of a database without a schema."""
    name = f"copied_{os.getpid()}"
    postgres_databases.server.create_database(name, owner=postgres_databases.OWNER)
    yield name
    postgres_databases.server.drop_database(name)


def rows(server, name):
    """How many rows each table has that has any."""
    with psycopg.connect(server.url(name)) as connection:
        there = [
            table for table in TABLES if connection.execute("SELECT to_regclass(%s)", [table]).fetchone() != (None,)
        ]
        counted = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in there}
    return {table: count for table, count in counted.items() if count}


COPY = [TODO, "copy", "--from", "sqlite:///todo.db"]


def measured(directory, to):
    """Copy to the end; return what the command said, the minutes, and the MiB of memory that it needed at most."""
    begun, said, used = time.perf_counter(), directory / "said", 0
    with said.open("w") as file:
        process = subprocess.Popen(COPY, cwd=directory, env=environment(**to), stdout=file)
        while process.poll() is None:
            used = most_memory(process.pid) or used
            time.sleep(0.1)
    assert process.returncode == 0
    return said.read_text(), (time.perf_counter() - begun) / 60, used


def ask(served, feed, held=None):
    """What a device holds, or, of what it holds, what is new."""
    token, headers = served.token("ann"), {} if held is None else {"If-None-Match": held["etag"]}
    listed = served.request("GET", "/api/me/tasks", token, headers=headers)
    changes = served.request("GET", f"/api/me/changes{'' if held is None else held['since']}", token).body
    keyed = served.request("POST", "/api/me/tasks", token, TAGGED, KEY)
    return {
        "status": listed.status,
        "etag": listed.headers["etag"],
        "since": f"?since={changes['revision']}",
        "tasks": changes["tasks"],
        "keyed": keyed.body,
        "calendar": served.text(feed),
    }


def test_a_copy_that_is_killed_is_made_by_the_next_and_devices_go_on(tmp_path, postgres_databases, target):
    seed = os.environ.get("TODO_DRILL_SEED", os.urandom(4).hex())
    print(f"TODO_DRILL_SEED={seed}")  # noqa: T201  to repeat a failure
    at_random, server = random.Random(seed), postgres_databases.server
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        token = served.token("ann")
        assert served.request("POST", "/api/me/tasks", token, TAGGED, KEY).status == 201
        task = {"title": "Pay the rent", "due_date": "2026-12-01"}
        assert served.request("PUT", "/api/me/tasks/a-name-of-its-own", token, task).status == 201
        feed = urljoin("/api/me/feed", served.request("POST", "/api/me/feed", token).body["url"])
        held = ask(served, feed)
    tasks = fill(tmp_path / "todo.db") + 2
    to = {"TODO_DATABASE_URL": postgres_databases.url(target, postgres_databases.OWNER)}

    whole = {"users": USERS + 1, "tasks": tasks, "feeds": 1, "idempotency_keys": USERS * TASKS_EACH // 10 + 1}
    whole |= dict.fromkeys(("tombstones", "trash"), USERS * TASKS_EACH // 10)
    killed = 0
    for number in range(MOST_TRIES):
        if killed and number >= KILLS:
            break
        step, bars = ("copied", "compared")[number % 2], at_random.randrange(40)
        with Terminal(COPY, cwd=tmp_path, env=environment(**to)) as terminal:  # which kills it at the end of the block
            terminal.wait_for(f"{step:9} [{'#' * bars}", seconds=LONGEST)
            time.sleep(at_random.random() / 20)
        there = rows(server, target)
        print(f"killed after {bars} of 40 bars {step}: {there or 'nothing'}")  # noqa: T201  the figures, for -s
        if there:  # it came to its end first
            assert there == whole
            with psycopg.connect(server.url(target)) as connection:
                connection.execute(f"TRUNCATE {', '.join(TABLES)}")
        killed += not there
    assert killed

    # As another program may have left it, which the copy itself never does.
    with psycopg.connect(server.url(target)) as connection:
        connection.execute("INSERT INTO users VALUES ('x', 1, 0, 0, now())")
    refused = todo(*COPY[1:], cwd=tmp_path, **to)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "todo: the database to copy into has data: use an empty one\n"
    assert rows(server, target) == {"users": 1}
    with psycopg.connect(server.url(target)) as connection:
        connection.execute("DELETE FROM users")

    said, minutes, used = measured(tmp_path, to)
    assert said.startswith(f"copied and compared: 1 feeds, {USERS + 1:,} users, ")
    assert rows(server, target) == whole
    print(f"{tasks:,} tasks in {minutes:.1f} min, {used:.0f} MiB")  # noqa: T201  the figures, for -s
    assert 0 < used < 200

    with Served(tmp_path, TODO_JWT_SECRET=SECRET, TODO_DATABASE_URL=postgres_databases.url(target)) as served:
        now = ask(served, feed, held)
    assert (now["status"], now["tasks"]) == (304, [])
    assert {name: now[name] for name in ("etag", "since", "keyed", "calendar")} == {
        name: held[name] for name in ("etag", "since", "keyed", "calendar")
    }
