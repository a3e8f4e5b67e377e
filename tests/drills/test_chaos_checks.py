"""The checks of the chaos suite find what they are for: after a calm day, one thing is spoilt and one check says so."""

from __future__ import annotations

import asyncio
import copy
from random import Random

import pytest
from chaos.checks import all_problems
from chaos.evidence import Rows
from chaos.line import Reply, Traffic
from chaos.scenario import Scenario
from chaos.service import Service
from chaos.sqlite_faults import SqliteStore


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """What the devices of a few seconds without any fault were told, and the file."""
    directory = tmp_path_factory.mktemp("calm")
    store = SqliteStore(directory)
    service = Service(directory, workers=1, url=store.url)
    service.start()
    try:
        results = asyncio.run(Scenario(service, [], seconds=3, random=Random("calm")).run())
    finally:
        service.close()
    return store, results.devices


ANN_0 = "user_id = 'ann' AND title LIKE 'task % of ann 0'"
SPOILT_ROWS = {
    f"DELETE FROM tasks WHERE {ANN_0}": "the list differs from the rows",
    f"UPDATE tasks SET description = 'half' WHERE {ANN_0}": "the list differs from the rows",
    f"UPDATE tasks SET title_key = 'half' WHERE {ANN_0}": "cannot be found by their titles",
    "UPDATE users SET task_count = task_count + 1 WHERE id = 'ann'": "task_count is",
    "UPDATE users SET revision = revision + 1 WHERE id = 'ann'": "ann: the revision is",
    "UPDATE users SET revision = revision - 1 WHERE id = 'ann'": "a revision is above the counter",
    "INSERT INTO tombstones (user_id, task_id, revision, deleted_at, number)"
    " SELECT user_id, 1000000000, revision, created_at, 1 FROM tasks WHERE user_id = 'ann' LIMIT 1": (
        "a revision is there twice"
    ),
    "INSERT INTO tombstones (user_id, task_id, revision, deleted_at, number)"
    " SELECT user_id, id, 1000000, created_at, 1 FROM tasks WHERE user_id = 'ann' LIMIT 1": "are there and deleted",
    "DELETE FROM idempotency_keys WHERE user_id = 'bob'": "are not remembered as they were acknowledged",
    "UPDATE idempotency_keys SET task_id = task_id + 1 WHERE user_id = 'bob'": "that was not made with it",
    "INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id, revision, created_at, number)"
    " VALUES ('bob', 'stranger', x'00', 1, 1, '', 1)": "the key stranger",
}


@pytest.mark.parametrize("statement", SPOILT_ROWS)
def test_a_spoilt_row_is_found(calm, tmp_path, statement):
    store, devices = calm
    assert all_problems(devices, Rows.read(store.query)) == []
    spoilt = store.copy(tmp_path)
    assert spoilt.query("PRAGMA foreign_keys") == [(0,)]
    spoilt.query(statement)
    assert SPOILT_ROWS[statement] in "\n".join(all_problems(devices, Rows.read(spoilt.query)))


def _first(result):
    """The first plain task that was made and not deleted, and its place in the list."""
    made = next(
        made for made in result.expectations.creates.values() if made.task and not made.edited and not made.deletion
    )
    return made, next(place for place, task in enumerate(result.listed) if task["id"] == made.task["id"])


def _lose(result):
    del result.listed[_first(result)[1]]


def _repeat(result):
    result.listed.append({**result.listed[_first(result)[1]], "id": 10**9})


def _list_twice(result):
    result.listed.append(result.listed[0])


def _change(result):
    result.listed[_first(result)[1]]["priority"] = "high"


def _renumber(result):
    result.listed[_first(result)[1]]["id"] = 10**9


def _revive(result):
    _first(result)[0].deletion = True


def _never_acknowledged(result):
    _first(result)[0].task = None


def _half(result):
    made, place = _first(result)
    made.task, made.unknown = None, True
    result.listed[place]["description"] = made.body["description"][:5]


def _stranger(result):
    result.listed.append({**result.listed[0], "id": 10**9, "title": "whose?"})


def _old_copy(result):
    result.copy.popitem()


def _lost_note(result):
    result.expectations.note += 1


def _lost_count(result):
    result.expectations.counted += 1


def _lost_toggle(result):
    result.expectations.switches[-1].acknowledged += 1


def _one_revision_for_two(result):
    result.expectations.revisions[-1] = result.expectations.revisions[0]


def _one_change_too_few(result):
    result.expectations.deletions += 1


def _seen_under_way(result):
    result.expectations.problems.append("a create was answered 404")


SPOILT_MEMORIES = {
    _lose: "was acknowledged and is there 0 times",
    _repeat: "was acknowledged and is there 2 times",
    _list_twice: "the list holds a task twice",
    _change: "was acknowledged as",
    _renumber: "has another id than was acknowledged",
    _revive: "was deleted and is there",
    _never_acknowledged: "and was never acknowledged",
    _half: "is only half there",
    _stranger: "nobody made ['whose?']",
    _old_copy: "its copy differs from the list",
    _lost_note: "was acknowledged and",
    _lost_count: "and the ledger says",
    _lost_toggle: "was toggled",
    _one_revision_for_two: "were acknowledged for two changes each",
    _one_change_too_few: "acknowledged changes and 0 possible ones",
    _seen_under_way: "a create was answered 404",
}


@pytest.mark.parametrize("spoil", SPOILT_MEMORIES)
def test_a_device_that_was_told_something_else_is_found(calm, spoil):
    store, devices = copy.deepcopy(calm[0]), copy.deepcopy(calm[1])
    spoil(devices[0])
    assert SPOILT_MEMORIES[spoil] in "\n".join(all_problems(devices, Rows.read(store.query)))


OURS = {"error": "the database is restarting: try again", "code": "unavailable", "request_id": "1"}


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (Reply(500, {"retry-after": "1"}, OURS), 0),
        (Reply(503, {}, OURS), 0),
        (Reply(503, {"retry-after": "1"}, "Service Unavailable"), 0),
        (Reply(503, {"retry-after": "1"}, {**OURS, "sql": "SELECT"}), 0),
        (Reply(503, {"retry-after": "1"}, {**OURS, "code": "internal"}), 0),
        (Reply(200, {}, {}), 3.6),
        (None, 3.6),
    ],
)
def test_a_response_that_breaks_a_promise_is_found(reply, seconds):
    traffic = Traffic()
    traffic.note("GET /", 3.4, Reply(503, {"retry-after": "1"}, OURS))
    assert traffic.problems == []
    traffic.note("GET /", seconds, reply)
    assert len(traffic.problems) == 1
