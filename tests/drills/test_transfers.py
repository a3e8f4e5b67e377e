"""What others notice of a user who exports or imports everything, again and again: the p95 of short requests.

.venv/bin/python -m pytest -s tests/drills/test_transfers.py
"""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPConnection
from statistics import quantiles

import pytest

from servers.todo import Served, token_for

pytestmark = pytest.mark.long

SECRET = "8c1f5e0f7c1b9a3d8642c7e1f0a95b3d2c48"
TASKS = 10_000
REQUESTS = 1_500
TEXT = "Buy groceries, and do not forget the bread. " * 10

EXPORTING = """
import sys
from http.client import HTTPConnection
port, path, token = sys.argv[1:]
while True:
    connection = HTTPConnection("127.0.0.1", int(port), timeout=60)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    assert response.status == 200
    print(sum(map(len, iter(lambda: response.read(65536), b""))), flush=True)
"""


IMPORTING = """
import json, sys
from http.client import HTTPConnection
port, name, token = sys.argv[1:]
for number in range(1_000):
    tasks = [
        {"uid": f"name-{each:09}", "title": f"{number} {each}", "description": "Buy groceries, and the bread. " * 13}
        for each in range(10_000)
    ]
    if name == "same":
        for each, task in enumerate(tasks):
            task["title"] = f"{each}"
    body = json.dumps({"format": "todo/1", "user_id": "a", "tasks": tasks})
    connection = HTTPConnection("127.0.0.1", int(port), timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/api/me/import", body, headers)
    response = connection.getresponse()
    report = response.read()
    assert response.status == 200, report
    print(report.decode(), flush=True)
"""


def fill(path, owner):
    """Give a user TASKS tasks of about 500 bytes each."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO users (id, revision, task_count, horizon, created_at) VALUES (?, ?, ?, 0, ?)",
            [owner, TASKS, TASKS, "2026-03-29T12:00:00.000000Z"],
        )
        connection.executemany(
            "INSERT INTO tasks (user_id, id, title, title_key, description, description_key, revision, created_at,"
            " updated_at) VALUES (?1, ?2, 'x', 'x', ?3, ?3, ?2, ?4, ?4)",
            ((owner, number, TEXT, "2026-03-29T12:00:00.000000Z") for number in range(1, TASKS + 1)),
        )
        connection.execute("UPDATE task_ids SET last = ?", [TASKS])


def p95(served, token):
    """The 95th percentile of short requests, one after the other, in milliseconds."""
    connection, took = HTTPConnection("127.0.0.1", served.port, timeout=30), []
    with closing(connection):
        for _ in range(REQUESTS):
            begun = time.perf_counter()
            connection.request("GET", "/api/me/tasks?limit=20", headers={"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            body = response.read()
            took.append((time.perf_counter() - begun) * 1_000)
            assert response.status == 200, body
    return quantiles(took, n=20)[-1]


@pytest.mark.parametrize("format_", ["json", "csv", "ics"])
def test_what_others_notice_of_an_export(tmp_path, format_):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        fill(tmp_path / "todo.db", "ann")
        ann, bob = token_for("ann", SECRET), token_for("bob", SECRET)
        for _ in range(20):
            served.request("POST", "/api/me/tasks", bob, {"title": "short"})
        alone = p95(served, bob)
        # In a process of its own, so that it takes no time from the one that measures.
        program = [sys.executable, "-c", EXPORTING, str(served.port), f"/api/me/export?format={format_}", ann]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as exporting:
            first = int(exporting.stdout.readline())
            beside = p95(served, bob)
            exporting.terminate()
            exports = [first, *map(int, exporting.stdout)]
    figures = f"p95 {alone:.2f} ms alone, {beside:.2f} ms beside {len(exports)} exports of {exports[0]:,} bytes"
    print(f"{format_}: {figures}")  # noqa: T201  the figures, for -s
    assert len(set(exports)) == 1
    assert beside < max(10 * alone, 100)


@pytest.mark.parametrize("files", ["same", "other"])
def test_what_others_notice_of_an_import(tmp_path, files):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        ann, bob = token_for("ann", SECRET), token_for("bob", SECRET)
        for _ in range(20):
            served.request("POST", "/api/me/tasks", bob, {"title": "short"})
        alone = p95(served, bob)
        program = [sys.executable, "-c", IMPORTING, str(served.port), files, ann]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as importing:
            begun = time.perf_counter()
            first = p95(served, bob)  # while all tasks are new
            reports = [json.loads(importing.stdout.readline())]
            took = time.perf_counter() - begun
            beside = p95(served, bob)
            importing.terminate()
            reports += map(json.loads, importing.stdout)
    figures = (
        f"{alone:.2f} ms alone, {first:.2f} ms beside the first import ({took:.1f} s), {beside:.2f} ms beside others"
    )
    print(f"{files}: p95 {figures}")  # noqa: T201  the figures, for -s
    assert reports[0] == {"created": TASKS, "updated": 0, "unchanged": 0, "skipped": [], "skipped_count": 0}
    assert max(first, beside) < max(10 * alone, 100)
