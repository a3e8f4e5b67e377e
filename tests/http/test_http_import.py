"""docs/api.md, Import: `POST /import`, the JSON of an export brought in by steps, and whatever else is sent to it."""

import asyncio
import json
import time
import tracemalloc
from hashlib import sha256
from math import inf

import pytest
from apis import Caller, in_memory
from client import InProcess, scope_of

from store_contract.words import NASTY
from support.clock import FakeClock
from support.recorded_events import RecordedEvents
from todo_adapters.http.endpoints import portability
from todo_adapters.http.endpoints.portability import LONG_STEP, STEP
from todo_adapters.http.protocol import pace
from todo_adapters.http.protocol import request as request_module
from todo_adapters.http.protocol.imports import LARGEST_ENTRY, MOST_TASKS, CheckedFile
from todo_adapters.memory import MemoryTasks
from todo_domain import TodoError, Unavailable
from todo_domain.changeset import Snapshot
from todo_domain.importing import Entry, plan_import

UID = "0199c3a8-5d1e-7c4f-9b0a-3f7d2c11e8aa"
GIVEN_BY_THE_SERVICE = ("id", "uid", "user_id", "revision", "updated_at")
EARLY = "2020-02-29T01:02:03.000004Z"


def head(user_id: str, *tasks, **more) -> dict:
    """A file with these tasks."""
    return {"format": "todo/1", "user_id": user_id, "tasks": [*tasks], **more}


def named(number: int, **more) -> dict:
    """A task of a file."""
    return {"uid": f"name-of-{number:08}", "title": f"task {number}", **more}


async def bring(user: Caller, file: dict | bytes | str, **how):
    body = json.dumps(file).encode() if isinstance(file, dict) else file
    body = body.encode() if isinstance(body, str) else body
    return await user("POST", "/import", body=body, headers=[("content-type", "application/json")], **how)


async def report(user: Caller, file: dict | bytes | str) -> dict:
    response = await bring(user, file)
    assert (response.status, response.header("cache-control")) == (200, "private, no-cache"), response.body
    return response.json()


def counts(created=0, updated=0, unchanged=0, skipped=()):
    return {
        "created": created,
        "updated": updated,
        "unchanged": unchanged,
        "skipped": [*skipped],
        "skipped_count": len(skipped),
    }


async def fill(user: Caller, many: int) -> None:
    """Give a user so many tasks, with every member and every nasty text."""
    for begin in range(0, many, 100):
        operations = [
            {
                "op": "put",
                "key": f"{user.id[:20]}-{number:08}",
                "task": {
                    "title": f"|{text}|",
                    "description": text * (number % 3),
                    "tags": [f"{text[:40]}|", f"{number}"],
                    "priority": ["none", "low", "medium", "high"][number % 4],
                    "due_date": None if number % 5 else "2026-03-01",
                    "completed": number % 2 == 0,
                    "position": None if number % 3 else "a0",
                    "extra": {"a": [number, 1.0, True, None], text: {"b": 1e300}} if number % 4 else {},
                },
            }
            for number in range(begin, min(begin + 100, many))
            for text in [NASTY[number % len(NASTY)]]
        ]
        done = await user("POST", "/batch", json={"operations": operations})
        assert done.json()["failed"] == 0
    for text in NASTY:
        await user.task(title=f"x{text}", description=text)
    gone = await user.task()
    await user("DELETE", f"/tasks/{gone['id']}")


def the_same(task: dict) -> dict:
    return {name: value for name, value in task.items() if name not in GIVEN_BY_THE_SERVICE}


async def test_export_import_and_export_again_are_equal_and_a_second_import_changes_nothing(ann: Caller, bob: Caller):
    await fill(ann, 230)
    file = (await ann("GET", "/export")).body
    tasks = json.loads(file)["tasks"]
    assert await report(bob, file) == counts(created=len(tasks))
    again = (await bob("GET", "/export")).json()
    assert [the_same(task) for task in again["tasks"]] == [the_same(task) for task in tasks]
    for old, new in zip(tasks, again["tasks"], strict=True):
        digest = sha256(f"{ann.id}\0{old['id']}\0{old['created_at']}".encode()).hexdigest()
        assert (new["uid"], new["user_id"]) == (old["uid"] or f"import-{digest[:40]}", bob.id)
    assert again["trash"] == []
    for user in (bob, ann):
        before = await user.state()
        assert await report(user, file) == counts(unchanged=len(tasks))
        assert await user.state() == before
    assert await report(bob, json.dumps(again)) == counts(unchanged=len(tasks))


async def test_a_part_of_a_file_in_any_order_and_with_white_space_is_a_file(ann: Caller):
    spaced = (
        '\n{"tasks" : [ {"title":"a",\t"uid":"' + UID + '"}\r\n, {"title":"b","uid":"another-name"} ],\n "trash":[ ],'
    )
    spaced += f'"exported_at":null, "user_id" : {json.dumps(ann.id)} , "format":"todo/1", "revision":null}} '
    assert await report(ann, spaced) == counts(created=2)
    assert await report(ann, head("somebody else")) == counts()
    assert [task["title"] for task in await ann.list()] == ["b", "a"]


async def test_a_task_is_matched_by_its_uid_and_by_id_and_time_in_a_file_of_ones_own(ann: Caller, bob: Caller):
    nameless = await ann.task(title="old")
    put = await ann("PUT", f"/tasks/{UID}", json={"title": "old", "description": "stays", "completed": True})
    edited = [{**nameless, "title": "new"}, {"uid": UID, "title": "new", "created_at": EARLY, "completed_at": EARLY}]
    assert await report(ann, head(ann.id, *edited)) == counts(updated=2)
    by_id, by_uid = [await ann.read(task) for task in (nameless, put.json())]
    assert (by_id["title"], by_id["created_at"]) == ("new", nameless["created_at"])
    assert (by_uid["title"], by_uid["description"]) == ("new", "stays")
    assert by_uid["created_at"] == by_uid["completed_at"] == EARLY
    strangers = [{**nameless, "title": "theirs"}, {**nameless, "title": "older", "created_at": EARLY}]
    assert await report(ann, head(bob.id, strangers[0])) == counts(created=1)
    assert await report(ann, head(ann.id, strangers[1])) == counts(created=1)
    assert await ann.read(nameless) == by_id


async def test_what_lies_in_the_trash_comes_back_and_a_tombstone_makes_room(ann: Caller):
    trashed = (await ann("PUT", f"/tasks/{UID}", json={"title": "trashed"})).json()
    gone = (await ann("PUT", "/tasks/another-name", json={"title": "gone"})).json()
    nameless = await ann.task()
    file = (await ann("GET", "/export")).body
    for task in (trashed, gone, nameless):
        await ann("DELETE", f"/tasks/{task['id']}")
    assert (await ann("DELETE", "/trash/another-name")).status == 204
    since = (await ann.state())["revision"]
    assert await report(ann, file) == counts(created=3)
    back = [await ann.read(task) for task in (trashed, nameless)]
    assert [{**the_same(task), "id": task["id"]} for task in back] == [
        {**the_same(task), "id": task["id"]} for task in (trashed, nameless)
    ]
    anew = (await ann("GET", "/tasks/another-name")).json()
    assert anew["id"] > nameless["id"]
    assert (await ann("GET", "/trash")).json() == []
    assert await report(ann, file) == counts(unchanged=3)
    seen = (await ann("GET", f"/changes?since={since}")).json()
    assert (len(seen["tasks"]), seen["deleted"]) == (3, [])


SKIPPED = {
    "no object": (7, None),
    "no task": ([], None),
    "null": (None, None),
    "no title": ({"uid": UID}, "title"),
    "a title that is a number": ({"uid": UID, "title": 5}, "title"),
    "no visible title": ({"uid": UID, "title": " \u200b"}, "title"),
    "a long title": ({"uid": UID, "title": "x" * 256}, "title"),
    "a control character": ({"uid": UID, "title": "x\0"}, "title"),
    "half a pair": ({"uid": UID, "title": "\ud800"}, "title"),
    "half a pair in a name": ({"uid": UID, "title": "x", "\ud800": 1}, "\\ud800"),
    "an unknown member": ({"uid": UID, "title": "x", "titel": "x"}, "titel"),
    "a long description": ({"uid": UID, "title": "x", "description": "x" * 5_001}, "description"),
    "a priority of its own": ({"uid": UID, "title": "x", "priority": "urgent"}, "priority"),
    "a day that there is not": ({"uid": UID, "title": "x", "due_date": "2026-02-30"}, "due_date"),
    "tags that are equal": ({"uid": UID, "title": "x", "tags": ["a", "A"]}, "tags"),
    "a position with a space": ({"uid": UID, "title": "x", "position": "a b"}, "position"),
    "a deep extra": ({"uid": UID, "title": "x", "extra": {"a": [[[[[]]]]]}}, "extra"),
    "a large extra": ({"uid": UID, "title": "x", "extra": {"a": "x" * 4_096}}, "extra"),
    "a number beyond 2^53": ({"uid": UID, "title": "x", "extra": {"a": 2**53 + 1}}, "extra"),
    "twins that contradict": ({"uid": UID, "title": "x", "status": "complete", "completed": False}, "completed"),
    "open and completed_at": ({"uid": UID, "title": "x", "completed": False, "completed_at": EARLY}, "completed_at"),
    "a short uid": ({"uid": "undefined", "title": "x"}, "uid"),
    "a time without decimals": ({"uid": UID, "title": "x", "created_at": "2026-01-01T00:00:00Z"}, "created_at"),
    "a time that is no time": ({"uid": UID, "title": "x", "completed_at": 5}, "completed_at"),
    "neither uid nor id": ({"title": "x", "created_at": EARLY}, "id"),
    "neither uid nor time": ({"title": "x", "id": 5}, "created_at"),
    "an id beyond 2^53": ({"title": "x", "id": 2**53, "created_at": EARLY}, "id"),
    "an entry too long": ({"uid": UID, "title": "x" * LARGEST_ENTRY}, None),
}


@pytest.mark.parametrize(("entry", "field"), SKIPPED.values(), ids=SKIPPED)
async def test_an_entry_that_breaks_a_rule_is_skipped_with_its_field_and_the_rest_goes_in(ann: Caller, entry, field):
    done = await report(ann, head(ann.id, named(1), entry, named(2)))
    (skipped,) = done.pop("skipped")
    assert done == {"created": 2, "updated": 0, "unchanged": 0, "skipped_count": 1}
    assert (skipped["index"], skipped["field"]) == (1, field)
    assert 5 < len(skipped["reason"]) < 200
    assert "xxxxx" not in skipped["reason"]


RAW = {
    "a name twice": (b'{"uid":"%s","title":"x","title":"y"}', "title"),
    "a name twice, deep": (b'{"uid":"%s","title":"x","extra":{"a":{"b":1,"b":1}}}', "b"),
    "a number that is too long": (b'{"uid":"%s","title":"x","extra":{"a":' + b"9" * 5_000 + b"}}", None),
    "a number that no double reaches": (b'{"uid":"%s","title":"x","extra":{"a":1e400}}', "extra"),
    "too deep": (b'{"uid":"%s","title":"x","extra":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}", None),
}


@pytest.mark.parametrize(("entry", "field"), RAW.values(), ids=RAW)
async def test_an_entry_that_is_written_to_harm_is_skipped(ann: Caller, entry: bytes, field):
    entry = entry.replace(b"%s", UID.encode())
    begin, end = json.dumps(head(ann.id, named(1))).encode().split(b"}]")
    done = await report(ann, begin + b"}," + entry + b"]" + end)
    assert (done["created"], [(each["index"], each["field"]) for each in done["skipped"]]) == (1, [(1, field)])


async def test_the_first_hundred_skipped_are_named_in_order_and_all_are_counted(ann: Caller):
    with in_memory(quota=30) as api:
        ann = api.user()
        file = head(ann.id, *(named(number) if number % 3 else {"uid": UID} for number in range(200)))
        done = await report(ann, file)
        assert (done["created"], done["skipped_count"], len(done["skipped"])) == (30, 170, 100)
        indexes = [each["index"] for each in done["skipped"]]
        assert indexes == sorted(indexes)
        assert indexes[:16] == [*range(0, 45, 3), 45]
        reasons = {each["index"]: each for each in done["skipped"]}
        assert (reasons[46]["field"], "30 tasks" in reasons[46]["reason"]) == (None, True)
        assert reasons[48]["field"] == "title"
        again = await report(ann, file)
        assert (again["created"], again["unchanged"], again["skipped_count"]) == (0, 30, 170)


async def test_a_file_that_is_cut_anywhere_brings_in_nothing(ann: Caller):
    whole = json.dumps(
        head(ann.id, named(1, extra={"a": ["\\", '"', {}]}), named(2, tags=["é", "]}"])), ensure_ascii=False
    )
    for cut in range(1, len(whole.encode())):
        refused = await bring(ann, whole.encode()[:cut])
        assert (refused.status, refused.json()["fields"][0]["field"]) == (400, "body"), cut
    assert (await ann.state())["revision"] == 0
    assert (await report(ann, whole))["created"] == 2


BODIES = {
    "nothing": (b"", "body"),
    "no object": (b"[]", "body"),
    "null": (b"null", "body"),
    "a number": (b"7", "body"),
    "white space": (b" \n", "body"),
    "a byte order mark": (b'\xef\xbb\xbf{"format":"todo/1","user_id":"a","tasks":[]}', "body"),
    "Latin-1": (b'{"format":"todo/1","user_id":"\xe9","tasks":[]}', "body"),
    "UTF-16": (json.dumps({"format": "todo/1", "user_id": "a", "tasks": []}).encode("utf-16"), "body"),
    "bytes that are no UTF-8 in a long entry": (
        b'{"format":"todo/1","user_id":"a","tasks":["' + b"x" * LARGEST_ENTRY + b'\xff"]}',
        "body",
    ),
    "more behind it": (b'{"format":"todo/1","user_id":"a","tasks":[]}{}', "body"),
    "a comma too many": (b'{"format":"todo/1","user_id":"a","tasks":[],}', "body"),
    "a comma too many in the tasks": (b'{"format":"todo/1","user_id":"a","tasks":[1,]}', "body"),
    "no comma": (b'{"format":"todo/1","user_id":"a","tasks":[1 2]}', "body"),
    "another bracket": (b'{"format":"todo/1","user_id":"a","tasks":[{]]}', "body"),
    "NaN": (b'{"format":"todo/1","user_id":"a","tasks":[{"a":NaN}]}', "body"),
    "an entry that is no JSON": (b'{"format":"todo/1","user_id":"a","tasks":[{"title":tru}]}', "body"),
    "a trash that is no JSON": (b'{"format":"todo/1","user_id":"a","tasks":[],"trash":[{"title":}]}', "body"),
    "a bad escape": (b'{"format":"todo/1","user_id":"a","tasks":["\\x"]}', "body"),
    "a name that is no string": (b'{format:"todo/1"}', "body"),
    "another format": (b'{"format":"todo/2","user_id":"a","tasks":[]}', "format"),
    "no format": (b'{"user_id":"a","tasks":[]}', "format"),
    "no user": (b'{"format":"todo/1","tasks":[]}', "user_id"),
    "a user that is a number": (b'{"format":"todo/1","user_id":5,"tasks":[]}', "user_id"),
    "a user without characters": (b'{"format":"todo/1","user_id":"","tasks":[]}', "user_id"),
    "a user with NUL": (b'{"format":"todo/1","user_id":"a\\u0000b","tasks":[]}', "user_id"),
    "half a pair in the user": (b'{"format":"todo/1","user_id":"\\ud800","tasks":[]}', "user_id"),
    "a user that is too long": (b'{"format":"todo/1","user_id":"' + b"x" * LARGEST_ENTRY + b'","tasks":[]}', "user_id"),
    "no tasks": (b'{"format":"todo/1","user_id":"a"}', "tasks"),
    "tasks that are none": (b'{"format":"todo/1","user_id":"a","tasks":{}}', "tasks"),
    "a trash that is none": (b'{"format":"todo/1","user_id":"a","tasks":[],"trash":7}', "trash"),
    "tasks twice": (b'{"format":"todo/1","user_id":"a","tasks":[],"tasks":[]}', "tasks"),
    "a user twice": (b'{"format":"todo/1","user_id":"a","user_id":"b","tasks":[]}', "user_id"),
    "an unknown member": (b'{"format":"todo/1","user_id":"a","tasks":[],"task":[]}', "task"),
    "a number that is too long": (
        b'{"format":"todo/1","user_id":"a","tasks":[],"revision":' + b"1" * 5_000 + b"}",
        "revision",
    ),
    "too many": (b'{"format":"todo/1","user_id":"a","tasks":[' + b"1," * MOST_TASKS + b"1]}", "tasks"),
    "too many in the trash": (
        b'{"format":"todo/1","user_id":"a","tasks":[],"trash":[' + b"1," * MOST_TASKS + b"1]}",
        "trash",
    ),
    "an unknown member before what is no JSON": (b'{"format":"todo/1","task":[],' + b'"x":1,' * 600_000, "task"),
    "brackets": (b"[" * 100_000, "body"),
    "objects": (b'{"tasks":' * 50_000, "body"),
}


@pytest.mark.parametrize("body", [b"[]", b' "x"', b"null", b"7"])
async def test_json_that_is_no_object_is_called_so(ann: Caller, body: bytes):
    refused = await bring(ann, body)
    assert (refused.status, refused.json()["error"]) == (400, "body must be a JSON object")


@pytest.mark.parametrize(("body", "field"), BODIES.values(), ids=BODIES)
async def test_a_body_that_is_no_file_is_400_and_brings_in_nothing(ann: Caller, body: bytes, field: str):
    refused = await bring(ann, body)
    problem = refused.json()
    assert (refused.status, problem["code"], problem["fields"][0]["field"]) == (400, "invalid", field), problem
    assert (await ann.state())["revision"] == 0


async def test_long_strings_names_and_gaps_are_read_in_pieces(ann: Caller):
    long = '\\\\\\"x\\u00e9' * 10_000
    body = f'{{"trash":["{long}",{{"a{long}":[{"[]," * 5_000}1]}}],{" " * 50_000}"tasks":[{json.dumps(named(1))}'
    body += f',"{long}"],"user_id":"a","format":"todo/1","exported_at":{"1" * 4_000}}}'
    done = await report(ann, body)
    assert (done["created"], done["skipped_count"], done["skipped"][0]["index"]) == (1, 1, 1)
    refused = await bring(ann, f'{{"{long}":1}}')
    assert (refused.status, len(refused.json()["fields"][0]["field"])) == (400, 41)


async def test_nothing_of_another_user_is_touched_whatever_the_file_says(ann: Caller, bob: Caller):
    theirs = await bob.task(title="theirs")
    put = (await bob("PUT", f"/tasks/{UID}", json={"title": "theirs, named"})).json()
    before = await bob.state()
    for source in (bob.id, ann.id, "nobody"):
        await report(ann, head(source, {**theirs, "title": "mine"}, {**put, "title": "mine"}))
    assert await bob.state() == before
    assert {task["user_id"] for task in await ann.list()} == {ann.id}
    assert {task["id"] for task in await ann.list()}.isdisjoint({theirs["id"], put["id"]})


async def test_an_import_takes_no_parameter_and_one_type(ann: Caller):
    file = json.dumps(head(ann.id, named(1))).encode()
    assert (await ann("POST", "/import?atomic=true", body=file)).status == 400
    for type_ in ("text/plain", "application/json; charset=latin-1"):
        assert (await ann("POST", "/import", body=file, headers=[("content-type", type_)])).status == 415
    refused = await ann("GET", "/import")
    assert (refused.status, refused.header("allow")) == (405, "OPTIONS, POST")
    assert (await ann.state())["revision"] == 0


async def test_a_body_of_exactly_the_limit_is_read_and_one_byte_more_is_413():
    with in_memory(import_limit=2_000) as api:
        ann = api.user()
        file = json.dumps(head(ann.id, named(1))).encode()
        assert (await bring(ann, file + b" " * (2_001 - len(file)))).status == 413
        assert (await ann.state())["revision"] == 0
        assert (await bring(ann, file + b" " * (2_000 - len(file)))).status == 200


class Gated(MemoryTasks):
    """A store in which the steps of an import from this one on wait until the test lets them go on, or fail."""

    def __init__(self, held=2):
        super().__init__()
        self.held = held
        self.steps = 0
        self.begun = asyncio.Semaphore(0)
        self.gate = asyncio.Event()
        self.failure = None

    async def apply(self, *args, **how):
        self.steps += 1
        if self.steps >= self.held:
            self.begun.release()
            await self.gate.wait()
            if self.failure is not None:
                raise self.failure
        return await super().apply(*args, **how)


@pytest.fixture
def short_steps(monkeypatch):
    """No worker is quiet, however slow the machine is."""
    monkeypatch.setattr(pace, "QUIET", inf)


class Counting(MemoryTasks):
    """A store that notes how many tasks each step of an import makes."""

    def __init__(self):
        super().__init__()
        self.made = []

    async def apply(self, owner, changes, **how):
        self.made.append(len(changes.made))
        return await super().apply(owner, changes, **how)


@pytest.mark.parametrize(("quiet", "steps"), [(-1, [LONG_STEP, LONG_STEP]), (inf, [STEP] * 8 + [100 % STEP])])
async def test_steps_are_long_only_in_a_quiet_worker(monkeypatch, quiet, steps):
    monkeypatch.setattr(pace, "QUIET", quiet)
    store = Counting()
    with in_memory(store=store) as api:
        ann = api.user()
        assert await report(ann, head(ann.id, *(named(number) for number in range(100)))) == counts(created=100)
    assert store.made == steps


@pytest.mark.usefixtures("short_steps")
async def test_imports_are_one_at_a_time_of_a_user_and_two_in_all_and_others_write_in_between():
    store, recorded = Gated(), RecordedEvents()
    with in_memory(store=store, audit=recorded) as api:
        users = [api.user() for _ in range(3)]
        file = head("a", *(named(number) for number in range(60)))
        running = []
        for user in users[:2]:
            store.steps = 0
            running.append(asyncio.create_task(bring(user, file)))
            await store.begun.acquire()
        for user in users:
            refused = await bring(user, b"{")
            assert (refused.status, refused.header("retry-after")) == (429, "5")
            assert (await user("GET", "/export")).status == 429
        assert len(await users[0].list()) == STEP
        assert (await users[0]("PATCH", "/tasks/name-of-00000000", json={"title": "edited"})).status == 200
        assert (await users[0]("DELETE", "/tasks/name-of-00000001")).status == 204
        store.gate.set()
        for one in running:
            assert (await one).json() == counts(created=60)
        titles = {task["uid"]: task["title"] for task in await users[0].list()}
        assert (len(titles), titles["name-of-00000000"]) == (59, "edited")
        assert (await report(users[0], file)) == counts(created=1, updated=1, unchanged=58)
        assert (await bring(users[2], b"{")).status == 400
    refusals = [event["reason"] for event in recorded.events if event["event"] == "rate_limited"]
    assert refusals == ["transfers"] * 6


@pytest.mark.parametrize("step", [1, 2])
async def test_an_import_whose_user_is_erased_meanwhile_is_410_and_leaves_nothing(step):
    """As `todo erase` does, or another worker, which know nothing of the import."""
    store, recorded = Gated(held=step), RecordedEvents()
    with in_memory(store=store, audit=recorded) as api:
        ann = api.user()
        await ann.task()
        running = asyncio.create_task(bring(ann, head("a", *(named(number) for number in range(60)))))
        await store.begun.acquire()
        await store.erase(ann.id)
        store.gate.set()
        refused = await running
        assert (refused.status, refused.json()["code"]) == (410, "resync")
        assert "erased during this import" in refused.json()["error"]
        assert await ann.list() == []
        assert (await bring(ann, head("a", named(1)))).json() == counts(created=1)
    known = [{"outcome": "unknown"}] if step > 1 else []
    events = [event for event in recorded.events if event["event"] == "user_imported"]
    assert [{"outcome": event["outcome"]} for event in events[:-1]] == known
    assert events[-1]["created"] == 1


async def test_the_body_is_not_asked_for_while_another_transfer_goes_on():
    store = Gated()
    with in_memory(store=store) as api:
        assert isinstance(api.bare, InProcess)
        ann = api.user()
        running = asyncio.create_task(bring(ann, head(ann.id, *(named(number) for number in range(60)))))
        await store.begun.acquire()
        sent = []

        async def receive():
            raise AssertionError("the body is asked for")

        async def send(message):
            sent.append(message)

        headers = [(b"authorization", f"Bearer {ann.token}".encode()), (b"content-length", b"8000000")]
        await api.bare.app(scope_of("POST", b"/api/me/import", headers), receive, send)
        assert sent[0]["status"] == 429
        store.gate.set()
        assert (await running).status == 200


async def test_a_body_that_does_not_go_on_is_cut_and_gives_its_place_back(monkeypatch):
    monkeypatch.setattr(request_module, "LONGEST_PAUSE", 0.05)
    with in_memory() as api:
        assert isinstance(api.bare, InProcess)
        ann, sent, pieces = api.user(), [], [b'{"format":', b'"todo/1",']

        async def receive():
            if not pieces:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}

        async def send(message):
            sent.append(message)

        headers = [(b"authorization", f"Bearer {ann.token}".encode()), (b"content-type", b"application/json")]
        await api.bare.app(scope_of("POST", b"/api/me/import", headers), receive, send)
        assert sent[0]["status"] == 400
        assert (await report(ann, head(ann.id, named(1)))) == counts(created=1)


@pytest.mark.usefixtures("short_steps")
@pytest.mark.parametrize("unknown", [False, True])
async def test_an_outage_says_whether_something_was_done_and_the_file_can_be_sent_again(unknown):
    store, recorded = Gated(), RecordedEvents()
    store.failure = Unavailable("the database is out of reach", outcome_unknown=unknown)
    store.gate.set()
    with in_memory(store=store, audit=recorded) as api:
        ann = api.user()
        file = head(ann.id, *(named(number) for number in range(60)), 7)
        response = await api.bare.request("POST", "/api/me/import", token=ann.token, json=file)
        assert (response.status, response.json()["outcome"], response.header("retry-after")) == (503, "unknown", "1")
        store.steps, store.failure = 1, Unavailable("the database is out of reach", outcome_unknown=unknown)
        few = head(ann.id, *(named(number) for number in range(STEP, STEP + 5)))
        response = await api.bare.request("POST", "/api/me/import", token=ann.token, json=few)
        assert (response.status, response.json().get("outcome")) == (503, "unknown" if unknown else None)
        store.failure = None
        done = await report(ann, file)
        assert (done["created"], done["unchanged"], done["skipped_count"]) == (60 - STEP, STEP, 1)
    events = [event for event in recorded.events if event["event"] == "user_imported"]
    assert [event.get("outcome") for event in events] == ["unknown"] * (1 + unknown) + [None]
    last = {name: events[-1][name] for name in ("subject", "route", "created", "updated", "unchanged", "skipped_count")}
    assert last == {
        "subject": ann.id,
        "route": "/api/{user_id}/import",
        "created": 60 - STEP,
        "updated": 0,
        "unchanged": STEP,
        "skipped_count": 1,
    }
    assert "task 1" not in str(events)


async def test_a_long_file_is_brought_in_while_others_are_served():
    with in_memory() as api:
        assert isinstance(api.bare, InProcess)
        ann, bob = api.user(), api.user()
        file = json.dumps(head(ann.id, *(named(number, description="é" * 400) for number in range(1_000)))).encode()
        importing = asyncio.create_task(bring(ann, file))
        served = set()
        while not importing.done():
            assert (await bob.api.bare.request("GET", "/api/me/tasks", token=bob.token)).status == 200
            served.add(len(await ann.list("?limit=1000")))
            await asyncio.sleep(0.002)
        assert (await importing).json() == counts(created=1_000)
        assert len(served) > 5  # it comes in by steps


@pytest.mark.usefixtures("short_steps")
@pytest.mark.parametrize(("far", "steps"), [(10, [12, 12, 12, 12, 12, 2]), (0.02, [12, 50])])
async def test_an_import_into_a_database_far_away_is_done_in_larger_steps(monkeypatch, far, steps):
    monkeypatch.setattr(portability, "_FAR", far)
    store, seen = Gated(), []
    store.gate.set()
    apply = store.apply

    async def distant(owner, changes, **how):
        seen.append(len(changes.tasks))
        await asyncio.sleep(0.025)
        return await apply(owner, changes, **how)

    store.apply = distant
    with in_memory(store=store) as api:
        ann = api.user()
        assert await report(ann, head(ann.id, *(named(number) for number in range(62)))) == counts(created=62)
    assert seen == steps


def entries_of(*entries) -> list:
    """What the reader of a file makes of these entries."""
    raw = json.dumps(head("a", *entries)).encode()
    return [read[1] for read in CheckedFile(raw, "a", raw.index(b"[")).entries() if read is not None]


def test_an_entry_that_is_skipped_costs_about_as_much_as_one_that_is_not():
    """The processor time of one: reading the members of the struct for each error took thirty times as long."""

    def cost(entry):
        begun = time.process_time()
        entries_of(*[entry] * 200)
        return time.process_time() - begun

    good, skipped = ([cost(entry) for _ in range(5)] for entry in (named(1), {}))
    assert min(skipped) < 8 * min(good)


def test_the_reason_of_a_skip_keeps_nothing_of_where_it_was_found():
    """The frames of an error hold the rest of the step, and the garbage of fifty thousand is 200 MB."""
    entries = [{}, {"title": " ", "uid": UID}, 7, named(1, extra=[]), named(2, position="\ud800")]
    errors = entries_of(*entries)
    full = plan_import(
        [entry for entry in entries_of(named(1), named(1), named(2)) if isinstance(entry, Entry)],
        Snapshot(1, 0, 1, [], []),
        source="a",
        named=(),
        owner="a",
        quota=2,
        now=FakeClock().now,
    )
    errors += [result for result in full.results if isinstance(result, TodoError)]
    assert len(errors) == len(entries) + 2
    for error in errors:
        assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None), error


async def test_a_file_that_takes_too_long_to_read_is_503_and_gives_its_place_back(monkeypatch):
    """Such as fifty thousand entries that are skipped, on a busy machine."""
    with in_memory() as api:
        ann = api.user()
        file = head(ann.id, *[{}] * 2_000)
        with monkeypatch.context() as changed:
            changed.setattr(portability, "TRANSFER_WITHIN", -1)
            late = await api.bare.request("POST", "/api/me/import", token=ann.token, json=file)
        assert (late.status, late.json().get("outcome"), late.header("retry-after")) == (503, None, "1")
        assert late.json()["error"] == "the import takes too long: send the file again, in smaller parts"
        assert (await report(ann, file))["skipped_count"] == 2_000


async def test_an_import_holds_little_more_than_its_body():
    with in_memory() as api:
        assert isinstance(api.bare, InProcess)
        ann = api.user()
        body = b'{"format":"todo/1","user_id":"a","tasks":[' + b",".join([b"[" + b"1," * 10_000 + b"1]"] * 15) + b"]}"
        await report(ann, head(ann.id))
        tracemalloc.start()
        try:
            done = await report(ann, body)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (done["skipped_count"], done["created"]) == (15, 0)
        assert peak < 3 * len(body)
