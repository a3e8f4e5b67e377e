"""Files with every nasty text of the tests: exported, imported in parts, and imported under kill -9."""

import itertools
import json
import os
import random
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from threading import Thread

import pytest

from servers.todo import Served, token_for
from store_contract.words import NASTY, NASTY_IN_FILES
from support.length import LONG
from support.strategies import PIECES
from todo_adapters.http.protocol.pace import QUIET

SECRET = "8c1f5e0f7c1b9a3d8642c7e1f0a95b3d2c48"
TASKS = 10_000 if LONG else 1_000
LARGEST = 8_388_608 if LONG else 600_000
"""Bytes that an import may have here: fewer than the export of so many tasks has."""

UNNAMED = TASKS // 20
KILLED = 2_500 if LONG else 600
"""Tasks of the file whose import is killed."""

KILLS = 25 if LONG else 3
TEXTS = [*NASTY, *NASTY_IN_FILES, *PIECES, *map("".join, itertools.pairwise(NASTY + NASTY_IN_FILES))]
GIVEN_BY_THE_SERVICE = ("id", "uid", "user_id", "status", "revision", "updated_at")


def served(directory, **settings):
    return Served(directory, TODO_JWT_SECRET=SECRET, TODO_MAX_TASKS_PER_USER=str(TASKS + UNNAMED + 100), **settings)


def call(service, method, path, user, body=None):
    """The body of a response with 200, 201 or 204; an import may take half a minute."""
    connection = HTTPConnection("127.0.0.1", service.port, timeout=60)
    headers = {"Authorization": f"Bearer {token_for(user, SECRET)}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        raw = response.read()
    finally:
        connection.close()
    assert response.status in {200, 201, 204}, raw[:500]
    return json.loads(raw) if raw else None


def export(service, user):
    file = call(service, "GET", "/api/me/export", user)
    del file["exported_at"]
    return file


def task(number, generation=0):
    """A task of a file; the number says everything about it, and the generation is in two places of it."""
    text = TEXTS[number % len(TEXTS)]
    completed = number % 3 == 0
    return {
        "uid": f"name-of-{number:08}",
        "title": f"{generation} {number} |{text}|"[:255],
        "description": f"{generation} {number} " + f"{text} " * (1 + number % 7) + "x" * (number % 11 * 150),
        "completed": completed,
        "completed_at": "2026-02-03T04:05:06.789012Z" if completed else None,
        "created_at": f"20{number % 25:02}-02-28T01:02:03.{number:06}Z",
        "priority": ["none", "low", "medium", "high"][number % 4],
        "due_date": ["0001-01-01", "2026-12-24", "9999-12-31"][number % 3] if number % 2 else None,
        "tags": [f"|{text[:40]}|", f"{number}"][: number % 3],
        "position": f"a{number}" if number % 5 else None,
        "extra": {"a": [number, 1.0, True, None, text], f"|{text[:40]}|": {"b": 1e300}} if number % 4 else {},
    }


def parts(file, largest):
    """The bodies that import a file: the same head with some of its tasks, as docs/api.md says."""
    head = json.dumps({**file, "tasks": [], "trash": []}, ensure_ascii=False).encode()
    body, size = [], len(head)
    for each in file["tasks"]:
        encoded = json.dumps(each, ensure_ascii=False)
        if size + (more := len(encoded.encode()) + 1) > largest:
            yield whole(file, body)
            body, size = [], len(head)
        body.append(encoded)
        size += more
    yield whole(file, body)


def whole(file, encoded):
    head = json.dumps({**file, "tasks": [], "trash": []}, ensure_ascii=False)
    return head.replace('"tasks": []', f'"tasks": [{",".join(encoded)}]').encode()


def imported(service, user, file, largest=LARGEST):
    """The sum of the reports of the parts of a file, and how many there were."""
    reports = [call(service, "POST", "/api/me/import", user, body) for body in parts(file, largest)]
    assert [each["skipped"] for each in reports] == [[]] * len(reports)
    counts = {name: sum(each[name] for each in reports) for name in ("created", "updated", "unchanged")}
    return counts, len(reports)


def the_same(file):
    """What of a file must not change on its way."""
    return [{name: value for name, value in each.items() if name not in GIVEN_BY_THE_SERVICE} for each in file["tasks"]]


def counts(created=0, updated=0, unchanged=0):
    return {"created": created, "updated": updated, "unchanged": unchanged}


def test_export_import_in_parts_and_export_again_are_equal_and_a_second_time_changes_nothing(tmp_path):
    with served(tmp_path, TODO_MAX_IMPORT_BYTES=str(LARGEST)) as service:
        named = {"format": "todo/1", "user_id": "of another service", "tasks": [task(each) for each in range(TASKS)]}
        assert imported(service, "ann", named)[0] == counts(created=TASKS)
        for number in range(UNNAMED):
            body = {name: task(number)[name] for name in ("title", "description", "tags", "extra", "position")}
            call(service, "POST", "/api/me/tasks", "ann", json.dumps(body))
        for number in (1, 2, 3):
            call(service, "DELETE", f"/api/me/tasks/name-of-{number:08}", "ann")
        total = TASKS + UNNAMED - 3
        file = export(service, "ann")
        assert (len(file["tasks"]), len(file["trash"])) == (total, 3)
        assert the_same({"tasks": named["tasks"][4:]}) == the_same(file)[1:-UNNAMED]

        begun = time.perf_counter()
        report, several = imported(service, "bob", file)
        took = time.perf_counter() - begun
        assert (report, several > 1) == (counts(created=total), True)
        again = export(service, "bob")
        assert the_same(again) == the_same(file)
        assert [each["uid"] for each in file["tasks"][:-UNNAMED]] == [each["uid"] for each in again["tasks"][:-UNNAMED]]
        assert len({each["uid"] for each in again["tasks"]}) == total
        assert again["trash"] == []

        for user, before in (("bob", again), ("ann", file)):
            assert imported(service, user, file)[0] == counts(unchanged=total)
            assert export(service, user) == before
        assert imported(service, "bob", again)[0] == counts(unchanged=total)
        assert imported(service, "cleo", again)[0] == counts(created=total)
        assert the_same(export(service, "cleo")) == the_same(file)
    figures = f"{total:,} tasks, {sum(map(len, parts(file, LARGEST))):,} bytes in {several} parts, {took:.1f} s"
    print(figures)  # noqa: T201  the figures, for -s


class Device:
    """A device that reads the changes page by page, and keeps a copy."""

    def __init__(self, user):
        self.user = user
        self.since = None
        self.copy = {}

    def sync(self, service):
        more = True
        while more:
            since = "" if self.since is None else f"&since={self.since}"
            page = call(service, "GET", f"/api/me/changes?limit=100{since}", self.user)
            self.copy.update((each["uid"], each) for each in page["tasks"])
            for gone in page["deleted"]:
                self.copy.pop(gone["uid"], None)
            self.since, more = page["revision"], page["has_more"]


def send(service, body):
    """Import for ann until the service dies."""
    with suppress(OSError, HTTPException):
        call(service, "POST", "/api/me/import", "ann", body)


def state_of(copy, old, new):
    """How many tasks of the file a copy has; each is whole: as it was before, or as the file says."""
    there = [each for uid, each in copy.items() if uid in new]
    for each in there:
        (seen,) = the_same({"tasks": [each]})
        assert seen in (old.get(each["uid"]), new[each["uid"]])
    return sum(the_same({"tasks": [each]}) == [new[each["uid"]]] for each in there)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def database(request):
    """The setting of a database, which is not killed."""
    if request.param == "sqlite":
        return {}
    databases, name = request.getfixturevalue("postgres_databases"), request.getfixturevalue("postgres_database")
    return {"TODO_DATABASE_URL": databases.url(name)}


def kill_during_an_import(directory, database, body, seconds):
    with served(directory, **database) as service:
        importing = Thread(target=send, args=(service, body))
        importing.start()
        time.sleep(seconds)
        service.process.kill()
        importing.join()


def test_an_import_that_is_killed_at_any_moment_is_finished_by_the_same_file(tmp_path, database):
    """Twice: the first file makes every task, the second edits each and brings back those that were deleted."""
    seed = os.environ.get("TODO_DRILL_SEED", os.urandom(4).hex())
    print(f"TODO_DRILL_SEED={seed}")  # noqa: T201  to repeat a failure
    at_random, device, progress = random.Random(seed), Device("ann"), []
    with served(tmp_path, **database) as service:
        assert imported(service, "bob", {"format": "todo/1", "user_id": "x", "tasks": [*map(task, range(100))]})[0]
        call(service, "DELETE", "/api/me/tasks/name-of-00000007", "bob")
        of_bob, changes_of_bob = export(service, "bob"), call(service, "GET", "/api/me/changes?limit=1000", "bob")
    old = {}
    for generation in (0, 1):
        tasks = [task(number, generation) for number in range(KILLED)]
        body = json.dumps({"format": "todo/1", "user_id": "x", "tasks": tasks}).encode()
        new = {each["uid"]: the_same({"tasks": [each]})[0] for each in tasks}
        done = 0
        with served(tmp_path, **database) as service:
            begun = time.perf_counter()
            call(service, "POST", "/api/me/import", f"cleo {generation}", body)
            whole_time = time.perf_counter() - begun
        kills = 0
        while kills < KILLS or not any(progress):
            kills += 1
            # Until the worker is quiet, the file is only checked.
            kill_during_an_import(tmp_path, database, body, at_random.uniform(QUIET, whole_time))
            with served(tmp_path, **database) as service:
                device.sync(service)
            before, done = done, state_of(device.copy, old, new)
            assert done >= before
            progress.append(done - before)
            if done == before:  # the import that was measured had fewer neighbours
                whole_time *= 1.2
        with served(tmp_path, **database) as service:
            created = KILLED - len(device.copy)
            report = call(service, "POST", "/api/me/import", "ann", body)
            assert (report["created"], report["unchanged"], report["skipped"]) == (created, done, [])
            assert report["updated"] == KILLED - created - done
            device.sync(service)
            file = export(service, "ann")
            assert {each["uid"]: seen for each, seen in zip(file["tasks"], the_same(file), strict=True)} == new
            assert len(file["tasks"]) == KILLED
            assert device.copy == {each["uid"]: each for each in file["tasks"]}
            revisions = sorted(each["revision"] for each in file["tasks"])
            assert revisions == list(range(revisions[0], file["revision"] + 1))
            assert (export(service, "bob"), call(service, "GET", "/api/me/changes?limit=1000", "bob")) == (
                of_bob,
                changes_of_bob,
            )
            if generation == 0:
                for number in range(0, KILLED, 20):
                    call(service, "DELETE", f"/api/me/tasks/name-of-{number:08}", "ann")
                device.sync(service)
                old = new
    print(f"tasks of each killed import: {progress}")  # noqa: T201  the figures, for -s
