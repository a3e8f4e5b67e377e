"""A user is erased while a thousand devices hold older copies: each starts again once, and nobody else notices."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urljoin

import psycopg
import pytest

from servers.todo import Served

SECRET = "8c1f5e0f7c1b9a3d8642c7e1f0a95b3d2c48"
DEVICES = 1_000
TABLES = {"tasks": "id", "tombstones": "task_id", "trash": "task_id", "idempotency_keys": "key", "feeds": "user_id"}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def place(request, tmp_path):
    """The settings of a database, and a function that runs a query past row-level security."""
    if request.param == "sqlite":

        def run(query):
            with closing(sqlite3.connect(tmp_path / "todo.db")) as connection:
                return connection.execute(query).fetchall()

        return {}, run
    databases, name = request.getfixturevalue("postgres_databases"), request.getfixturevalue("postgres_database")

    def run_as_superuser(query):
        with psycopg.connect(databases.server.url(name)) as connection:
            return connection.execute(query).fetchall()

    return {"TODO_DATABASE_URL": databases.url(name)}, run_as_superuser


def rows(run, user):
    """Every row of a user."""
    found = {
        table: run(f"SELECT * FROM {table} WHERE user_id = '{user}' ORDER BY {key}") for table, key in TABLES.items()
    }
    return {**found, "users": run(f"SELECT * FROM users WHERE id = '{user}'")}


def fill(served, token, prefix):
    """Rows of every kind, and a revision for each device; return the path of the feed."""
    for start in range(0, DEVICES, 100):
        operations = [
            {"op": "put", "key": f"{prefix}-name-{number:06}", "task": {"title": f"{number}", "due_date": "2026-12-01"}}
            for number in range(start, start + 100)
        ]
        assert served.request("POST", "/api/me/batch", token, {"operations": operations}).body["failed"] == 0
    for number in range(5):
        key = {"Idempotency-Key": f"key-{number}"}
        made = served.request("POST", "/api/me/tasks", token, {"title": "kept"}, key)
        assert made.status == 201
        if number % 2:
            assert served.request("DELETE", f"/api/me/tasks/{made.body['id']}", token).status == 204
    return urljoin("/api/me/feed", served.request("POST", "/api/me/feed", token).body["url"])


def test_each_of_a_thousand_devices_is_told_once_that_its_user_was_erased_and_another_user_is_untouched(
    tmp_path, place
):
    settings, run = place
    with Served(tmp_path, TODO_JWT_SECRET=SECRET, **settings) as served:
        ann, bob = served.token("ann"), served.token("bob")
        feed, feed_of_bob = fill(served, ann, "ann"), fill(served, bob, "bob")
        before, untouched = rows(run, "ann"), rows(run, "bob")
        assert all(before.values())
        last = served.request("GET", "/api/me/changes?limit=1", ann).body["revision"]
        (first,) = run("SELECT min(revision) FROM tasks WHERE user_id = 'ann'")[0]

        def device(since):
            """What a device that has heard of everything up to `since` hears next, until it has heard all."""
            heard = []
            for _ in range(5):
                query = "" if since is None else f"?since={since}"
                response = served.request("GET", f"/api/me/changes{query}", ann)
                heard.append((response.status, response.body.get("code")))
                if response.status == 410:
                    since = None
                    continue
                assert (response.body["tasks"], response.body["deleted"]) == ([], [])
                if since == response.body["revision"]:
                    break
                since = response.body["revision"]
            return heard

        listed = served.request("GET", "/api/me/tasks", ann).headers["etag"]
        assert served.request("DELETE", "/api/me?confirm=ann", ann).status == 204
        assert {table: found for table, found in rows(run, "ann").items() if found}.keys() == {"users"}

        at = [first + number * (last - first) // (DEVICES - 1) for number in range(DEVICES)]
        assert len(set(at)) == DEVICES
        with ThreadPoolExecutor(8) as devices:
            assert {tuple(heard) for heard in devices.map(device, at)} == {((410, "resync"), (200, None), (200, None))}

        assert served.request("GET", "/api/me/tasks", ann, headers={"If-None-Match": listed}).body == []
        assert served.request("GET", feed, "").status == 404
        anew = served.request("POST", "/api/me/tasks", ann, {"title": "kept"}, {"Idempotency-Key": "key-0"})
        assert (anew.status, anew.headers.get("idempotency-replayed")) == (201, None)
        assert rows(run, "bob") == untouched
        replayed = served.request("POST", "/api/me/tasks", bob, {"title": "kept"}, {"Idempotency-Key": "key-0"})
        assert replayed.headers["idempotency-replayed"] == "true"
        assert served.text(feed_of_bob).count("BEGIN:VEVENT") == DEVICES
