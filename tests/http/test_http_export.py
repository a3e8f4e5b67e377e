"""docs/api.md, Export: `GET /export`, everything of a user as a file, read back by the parsers of other programs."""

import asyncio
import csv
import gzip
import io
import json
import time
from types import SimpleNamespace

import icalendar
import pytest
from apis import Caller, in_memory
from client import InProcess, scope_of

from support.clock import FakeClock
from support.recorded_events import RecordedEvents
from todo_adapters.http import application
from todo_adapters.http.protocol import response as protocol
from todo_adapters.http.protocol.context import CONTEXT, RequestContext
from todo_adapters.http.protocol.pace import Traffic
from todo_adapters.http.protocol.response import StreamingResponse
from todo_adapters.http.protocol.response_memory import ResponseMemory
from todo_domain.memory_budget import LARGEST_TASK

TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8; header=present",
    "ics": "text/calendar; charset=utf-8; component=vtodo",
}
NASTY = ['=HYPERLINK("x")', "a\r\nEND:VCALENDAR\r\n", "C:\\New", 'a,"b";c\n', "😀e\u0301", "'", ""]


async def fill(user: Caller) -> list[dict]:
    """Make tasks with every member and every nasty text; return them, the oldest first."""
    made = [
        await user.task(title=f"x{text}", description=text, tags=["b,c", "a"], priority="high", due_date="2026-03-01")
        for text in NASTY
    ]
    made.append(await user.task(completed=True, position="a0", extra={"a": [1, 1.0, "é"]}))
    named = await user("PUT", "/tasks/0199c3a8-5d1e-7c4f", json={"title": "has a name"})
    gone = await user.task()
    assert (await user("DELETE", f"/tasks/{gone['id']}")).status == 204
    return [*made, named.json()]


async def test_json_is_everything_of_the_user(ann: Caller, bob: Caller):
    tasks = await fill(ann)
    await bob.task()
    response = await ann("GET", "/export")
    exported = response.json()
    assert list(exported) == ["format", "user_id", "revision", "exported_at", "tasks", "trash"]
    assert (exported["format"], exported["user_id"], exported["tasks"]) == ("todo/1", ann.id, tasks)
    assert exported["trash"] == (await ann("GET", "/trash")).json()
    assert len(exported["trash"]) == 1
    assert exported["revision"] == (await ann.state())["revision"]
    assert (await ann("GET", "/export?format=json")).json()["tasks"] == tasks


async def test_csv_has_a_line_for_each_task(ann: Caller):
    tasks = await fill(ann)
    body = (await ann("GET", "/export?format=csv")).body.decode()
    rows = list(csv.DictReader(io.StringIO(body, newline=""), strict=True))
    assert [int(row["id"]) for row in rows] == [task["id"] for task in tasks]
    for row, task in zip(rows, tasks, strict=True):
        for name in ("title", "description", "uid", "position"):
            assert row[name].removeprefix("'") == (task[name] or "")
        for name in ("status", "priority", "created_at", "updated_at"):
            assert row[name] == task[name]
        assert json.loads(row["tags"]) == task["tags"]
        assert json.loads(row["extra"]) == task["extra"]
    assert rows[0]["description"] == "'" + NASTY[0]


async def test_icalendar_has_a_todo_for_each_task(ann: Caller):
    tasks = await fill(ann)
    calendar = icalendar.Calendar.from_ical((await ann("GET", "/export?format=ics")).body)
    todos = calendar.walk("VTODO")
    assert [str(todo["summary"]) for todo in todos] == [task["title"].replace("\r\n", "\n") for task in tasks]
    assert [todo["due"].dt.isoformat() if "due" in todo else None for todo in todos] == [
        task["due_date"] for task in tasks
    ]
    assert json.loads(todos[-2]["x-todo-extra"]) == {"a": [1, 1.0, "é"]}


@pytest.mark.parametrize("format_", TYPES)
async def test_an_export_is_a_download_with_a_name_a_type_and_no_validator(ann: Caller, format_: str):
    with in_memory(clock=FakeClock()) as api:
        ann = api.user()
        response = await ann("GET", f"/export?format={format_}")
    assert (response.status, response.header("content-type")) == (200, TYPES[format_])
    assert response.header("content-disposition") == f'attachment; filename="todo-{FakeClock().now:%Y-%m-%d}.{format_}"'
    assert response.header("cache-control") == "private, no-cache"
    assert response.header("etag") is None
    assert "Accept-Encoding" in response.header("vary")


@pytest.mark.parametrize("format_", TYPES)
async def test_a_user_without_tasks_has_an_empty_export_and_is_not_made(ann: Caller, format_: str):
    response = await ann("GET", f"/export?format={format_}")
    assert response.status == 200
    if format_ == "json":
        exported = response.json()
        assert (exported["revision"], exported["tasks"], exported["trash"]) == (0, [], [])
    assert (await ann.state())["revision"] == 0


@pytest.mark.parametrize("format_", TYPES)
async def test_a_long_export_is_the_same_in_gzip_and_comes_in_pieces(ann: Caller, format_: str):
    for number in range(60):
        await ann.task(title=f"task {number}", description="é" * 3_000)
    plain = await ann("GET", f"/export?format={format_}")
    packed = await ann("GET", f"/export?format={format_}", headers=[("accept-encoding", "gzip")])
    assert (plain.header("content-encoding"), packed.header("content-encoding")) == (None, "gzip")
    bodies = [plain.body, gzip.decompress(packed.body)]
    if format_ == "json":
        parsed = [json.loads(body) for body in bodies]
        assert parsed[0]["tasks"] == parsed[1]["tasks"]
        assert len(parsed[0]["tasks"]) == 60
    else:
        assert bodies[0] == bodies[1]


async def test_head_reads_and_sends_nothing_and_is_no_event(ann: Caller):
    recorded = RecordedEvents()
    with in_memory(audit=recorded) as api:
        ann = api.user()
        await ann.task(title="a secret")
        response = await ann("HEAD", "/export?format=csv")
        assert (response.status, response.body, response.header("content-type")) == (200, b"", TYPES["csv"])
        assert recorded.events == []
        await ann("GET", "/export?format=csv")
    (event,) = recorded.events
    assert (event["event"], event["format"], event["subject"]) == ("user_exported", "csv", ann.id)
    assert event["route"] == "/api/{user_id}/export"
    assert "a secret" not in str(event)


@pytest.mark.parametrize("query", ["format=xml", "format=JSON", "format=", "format=csv&format=csv", "limit=1"])
async def test_another_format_or_parameter_is_400(ann: Caller, query: str):
    response = await ann("GET", f"/export?{query}")
    assert (response.status, response.json()["code"]) == (400, "invalid")


class Slow:
    """A client that takes a response piece by piece, when the test says so."""

    def __init__(self, user: Caller, app, below: str) -> None:
        self.pieces: list[bytes] = []
        self.may = asyncio.Semaphore(0)
        self.took = asyncio.Semaphore(0)
        self.user, self.app, self.below = user, app, below

    async def run(self) -> None:
        headers = [(b"authorization", f"Bearer {self.user.token}".encode())]
        scope = scope_of("GET", (self.user.path + self.below).encode(), headers)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            if message["type"] == "http.response.body":
                self.pieces.append(message["body"])
                self.took.release()
                await self.may.acquire()

        await self.app(scope, receive, send)


async def test_an_export_is_a_transfer_until_its_last_byte_is_sent():
    with in_memory() as api:
        assert isinstance(api.bare, InProcess)
        users = [api.user() for _ in range(3)]
        for user in users:
            for _ in range(20):
                await user.task(description="é" * 5_000)
        slow = [Slow(user, api.bare.app, "/export") for user in users[:2]]
        running = [asyncio.create_task(one.run()) for one in slow]
        for one in slow:
            await one.took.acquire()
        for user in users:
            refused = await user("GET", "/export?format=csv")
            assert (refused.status, refused.header("retry-after")) == (429, "5")
            assert (await user("DELETE", f"?confirm={user.id}")).status == 429
            assert len(await user.list()) == 20
        running[0].cancel()  # the client went away
        await asyncio.gather(running[0], return_exceptions=True)
        assert (await users[0]("GET", "/export?format=csv")).status == 200
        assert (await users[1]("GET", "/export?format=csv")).status == 429
        for _ in range(100):
            slow[1].may.release()
        await running[1]
        assert len(json.loads(b"".join(slow[1].pieces))["tasks"]) == 20
        assert all(len(piece) <= 64 * 1024 + 20_000 for piece in slow[1].pieces)
        assert len(slow[1].pieces) > 3
        assert (await users[1]("GET", "/export")).status == 200


async def test_what_an_export_holds_counts_among_the_bytes_of_responses():
    responses = ResponseMemory(1_048_576)
    with in_memory(response_memory=responses) as api:
        assert isinstance(api.bare, InProcess)
        ann = api.user()
        for _ in range(110):
            await ann.task(description="é" * 5_000)
        slow = Slow(ann, api.bare.app, "/export?format=ics")
        running = asyncio.create_task(slow.run())
        await slow.took.acquire()
        assert 110 * 10_000 < responses.held < 110 * LARGEST_TASK
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert responses.held == 0


class Pauses:
    """What a module sleeps, without sleeping."""

    def __init__(self):
        self.all = []

    async def sleep(self, seconds):
        self.all.append(seconds)
        await asyncio.sleep(0)


def busy_pieces(number):
    """Pieces that each take two milliseconds of a processor to make."""
    for _ in range(number):
        begun = time.thread_time()
        while time.thread_time() - begun < 0.002:
            pass
        yield b"x"


async def test_writing_a_long_response_pauses_only_while_requests_come(monkeypatch):
    traffic, pauses = Traffic(), Pauses()
    monkeypatch.setattr(protocol, "asyncio", pauses)

    async def send(_):
        pass

    scope = scope_of("GET", b"/", [])
    scope[CONTEXT] = RequestContext("id", "GET", peer=None, authorization=[], headers=[])
    await StreamingResponse(busy_pieces(5), [], share=0.1, traffic=traffic)(scope, None, send)
    assert pauses.all == [0] * 5  # it yields to the loop all the same
    pauses.all.clear()
    traffic.latest = time.perf_counter() + 3_600
    await StreamingResponse(busy_pieces(5), [], share=0.1, traffic=traffic)(scope, None, send)
    assert len(pauses.all) == 5
    assert min(pauses.all) >= 0.002 * 9


async def test_a_request_counts_as_traffic_when_it_begins_and_when_it_ends(monkeypatch):
    class Noted(SimpleNamespace):
        def __setattr__(self, name, value):
            times.append((name, value))

    times = []
    monkeypatch.setattr(application, "Traffic", Noted)
    with in_memory() as api:
        ann = api.user()
        before = time.perf_counter()
        await ann.list()
        after = time.perf_counter()
    assert [name for name, _ in times] == ["latest"] * 2
    assert before < times[0][1] < times[1][1] < after


async def test_writing_a_long_response_takes_no_more_than_its_share_of_the_time():
    async def send(_):
        await asyncio.sleep(0)

    scope = scope_of("GET", b"/", [])
    scope[CONTEXT] = RequestContext("id", "GET", peer=None, authorization=[], headers=[])
    begun = time.perf_counter()
    await StreamingResponse(busy_pieces(10), [], share=0.1)(scope, None, send)
    assert time.perf_counter() - begun > 10 * 0.002 / 0.1
