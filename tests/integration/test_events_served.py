"""`/events` and `/changes?wait=` over a real server: two workers on one SQLite file, or PostgreSQL."""

import asyncio
import os
import time
from contextlib import AsyncExitStack

import httpx
import jwt
import pytest

from servers.todo import Served
from support.streams import Copy, streaming

SECRET = os.urandom(32).hex()


def token(user, seconds=600):
    return jwt.encode({"sub": user, "exp": int(time.time()) + seconds}, SECRET, "HS256")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    directory = tmp_path_factory.mktemp("events")
    with Served(directory, TODO_JWT_SECRET=SECRET, TODO_WORKERS="2", TODO_MAX_STREAMS_PER_USER="3") as served:
        yield served
        assert '"level":"error"' not in served.process.stderr, served.process.stderr


@pytest.fixture
async def client(served):
    async with httpx.AsyncClient(base_url=served.origin, timeout=30, trust_env=False, verify=False) as client:
        yield client


def as_user(user):
    return {"Authorization": f"Bearer {token(user)}"}


async def create(client, user, title="x"):
    response = await client.post("/api/me/tasks", headers=as_user(user), json={"title": title})
    assert response.status_code == 201
    return response.json()


async def test_a_stream_reports_the_writes_of_every_worker(served, client):
    async with streaming(served.origin, token("ann")) as stream:
        assert stream.response.headers["content-type"] == "text/event-stream"
        assert stream.response.headers["cache-control"] == "no-store, no-transform"
        assert stream.response.headers["x-accel-buffering"] == "no"
        ready = await stream.next()
        assert (ready.name, ready.id, ready.data) == ("ready", "0", {"revision": 0})
        assert stream.retry is not None
        copy = Copy()
        for number in range(20):  # connections of their own, so that both workers write
            async with httpx.AsyncClient(base_url=served.origin, timeout=30, trust_env=False, verify=False) as another:
                await create(another, "ann", f"task {number}")
        while len(copy.tasks) < 20:
            event = await stream.next()
            assert event.name == "changes"
            assert event.id == str(event.data["revision"])
            copy.apply(event.data)
    listed = (await client.get("/api/me/tasks", headers=as_user("ann"))).json()
    assert {task["id"]: task for task in listed} == copy.tasks


async def test_a_stream_says_nothing_of_others(served, client):
    async with streaming(served.origin, token("bea")) as stream:
        await stream.next()
        await create(client, "carl")
        await create(client, "bea", "mine")
        event = await stream.next()
    assert [task["title"] for task in event.data["tasks"]] == ["mine"]


async def test_every_stream_of_an_erased_user_hears_resync_and_a_wait_is_410(served, client):
    made = await create(client, "zoe")
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(streaming(served.origin, token("zoe"))) for _ in range(2)]
        for stream in streams:
            assert (await stream.next()).name == "ready"
        waiting = asyncio.create_task(
            client.get(f"/api/me/changes?since={made['revision']}&wait=25", headers=as_user("zoe"))
        )
        assert (await client.delete("/api/me?confirm=zoe", headers=as_user("zoe"))).status_code == 204
        for stream in streams:
            event = await stream.next()
            assert (event.name, event.data) == ("resync", {"revision": made["revision"] + 1})
        again = await waiting
        assert (again.status_code, again.json()["code"]) == (410, "resync")


@pytest.mark.parametrize("how", ["header", "lastEventId", "since"])
async def test_a_stream_goes_on_from_its_position(served, client, how):
    first, second = await create(client, how), await create(client, how)
    position = str(first["revision"])
    query = "" if how == "header" else f"?{how}={position}"
    headers = {"Last_Event_ID": position} if how == "header" else {}
    async with streaming(served.origin, token(how), query, **headers) as stream:
        assert (await stream.next()).id == position
        event = await stream.next()
    assert [task["id"] for task in event.data["tasks"]] == [second["id"]]


async def test_an_empty_position_counts_as_absent_and_another_text_is_no_position(served, client):
    made = await create(client, "dora")
    for query in ("?since=&lastEventId=", ""):
        async with streaming(served.origin, token("dora"), query) as stream:
            assert (await stream.next()).id == str(made["revision"])
    async with streaming(served.origin, token("dora"), "?lastEventId=yesterday") as stream:
        assert (await stream.next()).name == "ready"
        resync = await stream.next()
        assert (resync.name, resync.id) == ("resync", str(made["revision"]))


async def test_what_is_wrong_before_the_first_byte_has_its_status(client):
    headers = as_user("ed")
    assert (await client.get("/api/me/events")).status_code == 401
    assert (await client.get("/api/fay/events", headers=headers)).status_code == 403
    assert (await client.get("/api/me/events?since=x", headers=headers)).status_code == 400
    assert (await client.get("/api/me/events?sinse=1", headers=headers)).status_code == 400
    for method in ("HEAD", "POST", "DELETE"):
        refused = await client.request(method, "/api/me/events", headers=headers)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, OPTIONS")
    options = await client.options("/api/me/events")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, OPTIONS")


async def test_a_stream_ends_before_its_token(served):
    async with streaming(served.origin, token("gil", 6)) as stream:
        *_, last = await stream.rest()
    assert (last.name, last.data) == ("bye", {"reason": "token_expires"})


async def test_a_user_has_so_many_streams_in_a_worker_and_room_comes_back(tmp_path):
    settings = {"TODO_JWT_SECRET": SECRET, "TODO_MAX_STREAMS_PER_USER": "2"}
    with Served(tmp_path, **settings) as served:
        async with AsyncExitStack() as held:
            for _ in range(2):
                stream = await held.enter_async_context(streaming(served.origin, token("hal")))
                await stream.next()
            async with streaming(served.origin, token("hal")) as refused:
                assert refused.response.status_code == 200
                assert [(event.name, event.data) for event in await refused.rest()] == [("bye", {"reason": "busy"})]
                assert refused.retry == 30_000
            waiting = served.request("GET", "/api/me/changes?since=0&wait=5", token("hal"))
            assert (waiting.status, waiting.headers["retry-after"]) == (429, "1")
            assert waiting.body["error"] == "too many streams and waits are open: try again in 1 s"
            async with streaming(served.origin, token("ida")) as another:
                assert (await another.next()).name == "ready"
        until = time.monotonic() + 10
        while served.request("GET", "/api/me/changes?since=0&wait=1", token("hal")).status == 429:
            assert time.monotonic() < until
        assert '"level":"error"' not in served.process.stderr


async def test_a_wait_ends_as_soon_as_something_has_changed(client):
    made = await create(client, "jan")

    async def wait(seconds, since=made["revision"]):
        url = f"/api/me/changes?since={since}&wait={seconds}"
        return (await client.get(url, headers=as_user("jan"))).json()

    waiting = asyncio.create_task(wait(30))
    while "todo_waits 1.0" not in (await client.get("/metrics")).text:  # noqa: ASYNC110  another process's event
        await asyncio.sleep(0.05)  # between two looks at the gauge
    changed = await create(client, "jan", "later")
    page = await waiting
    assert [task["id"] for task in page["tasks"]] == [changed["id"]]
    begun = time.monotonic()
    assert await wait(1, since=page["revision"]) == {
        "tasks": [],
        "deleted": [],
        "revision": page["revision"],
        "has_more": False,
    }
    assert time.monotonic() - begun >= 0.9


async def test_a_wait_with_nothing_to_wait_for_is_answered_at_once(client):
    made = await create(client, "kim")
    begun = time.monotonic()
    whole = (await client.get("/api/me/changes?since=0&wait=30", headers=as_user("kim"))).json()
    assert [task["id"] for task in whole["tasks"]] == [made["id"]]
    head = await client.head(f"/api/me/changes?since={made['revision']}&wait=30", headers=as_user("kim"))
    assert head.status_code == 200
    stale = await client.get(f"/api/me/changes?since={made['revision'] + 9}&wait=30", headers=as_user("kim"))
    assert stale.status_code == 410
    assert time.monotonic() - begun < 20


async def test_streams_and_waits_end_in_order_when_the_service_stops(tmp_path):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        async with AsyncExitStack() as held:
            streams = [
                await held.enter_async_context(streaming(served.origin, token(f"user-{number}"))) for number in range(8)
            ]
            for stream in streams:
                await stream.next()
            waiting = asyncio.create_task(
                asyncio.to_thread(served.request, "GET", "/api/me/changes?since=0&wait=30", token("lea"))
            )
            while served.request("GET", "/api/me/tasks", token("lea")).status != 200:
                pass
            stopping = asyncio.create_task(asyncio.to_thread(served.process.stop))
            for stream in streams:
                (last,) = await stream.rest()
                assert (last.name, last.data) == ("bye", {"reason": "restart"})
            response = await waiting
            assert (response.status, response.body["tasks"]) == (200, [])
            await stopping
        assert '"level":"error"' not in served.process.stderr
