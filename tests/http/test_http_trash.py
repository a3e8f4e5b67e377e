"""docs/api.md, The trash: what is deleted can be listed, restored and removed for good, by its owner alone."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from apis import Caller, Serve, in_memory
from client import Response, follow

from support.clock import FakeClock

UID = "0199c3a8-5d1e-7c4f-9b0a-3f7d2c11e8aa"


async def named(caller: Caller, uid: str = UID) -> dict[str, Any]:
    """Create a task under a uid."""
    response = await caller("PUT", f"/tasks/{uid}", json={"title": "Buy milk", "tags": ["home"], "extra": {"a": 1}})
    assert response.status == 201
    return response.json()


async def trash(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    response = await caller("GET", "/trash" + query)
    assert response.status == 200
    return response.json()


async def deleted(caller: Caller, count: int) -> list[dict[str, Any]]:
    """Delete some new tasks; return them as the trash has them, the last deleted first."""
    made = [await caller.task(title=f"{number}") for number in range(count)]
    for task in made:
        assert (await caller("DELETE", f"/tasks/{task['id']}")).status == 204
    return await trash(caller)


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


async def test_a_deleted_task_is_in_the_trash_with_the_times_of_its_deletion_and_of_its_end(ann: Caller):
    assert await trash(ann) == []
    task = await named(ann)
    assert (await ann("DELETE", f"/tasks/{UID}")).status == 204
    response = await ann("GET", "/trash")
    (found,) = response.json()
    assert list(found) == [*task, "deleted_at", "expires_at"]
    assert {name: found[name] for name in task} == task | {"revision": task["revision"] + 1}
    assert instant(found["expires_at"]) - instant(found["deleted_at"]) == timedelta(days=30)
    assert response.header("etag") is None
    assert response.header("vary") == "Accept-Encoding"
    assert await ann.list() == []


@pytest.mark.parametrize("by_uid", [False, True], ids=["by id", "by uid"])
async def test_a_restored_task_is_the_same_at_a_new_revision(ann: Caller, by_uid: bool):
    task = await named(ann)
    await ann("DELETE", f"/tasks/{UID}")
    response = await ann("POST", f"/trash/{UID if by_uid else task['id']}/restore")
    restored = response.json()
    assert response.status == 200
    assert response.header("etag") == f'"{restored["revision"]}"'
    assert response.header("location") is None
    assert restored == task | {"revision": task["revision"] + 2, "updated_at": restored["updated_at"]}
    assert restored["updated_at"] >= task["updated_at"]
    assert await ann.list() == [restored]
    assert await trash(ann) == []
    changes = (await ann("GET", f"/changes?since={task['revision']}")).json()
    assert (changes["tasks"], changes["deleted"], changes["revision"]) == ([restored], [], restored["revision"])
    again = await ann("POST", f"/trash/{UID}/restore")
    assert (again.status, again.json(), again.header("etag")) == (200, restored, response.header("etag"))
    assert (await ann.state())["revision"] == restored["revision"]


@pytest.mark.parametrize("how", [{}, {"json": {}}, {"json": None, "body": b"null"}, {"body": b""}], ids=str)
async def test_restoring_needs_no_body_and_takes_an_empty_one(ann: Caller, how: dict[str, Any]):
    task = await ann.task()
    await ann("DELETE", f"/tasks/{task['id']}")
    if "body" in how:
        how = {"body": how["body"], "headers": [("content-type", "application/json")]}
    assert (await ann("POST", f"/trash/{task['id']}/restore", **how)).status == 200


@pytest.mark.parametrize(
    ("body", "kind", "status", "field"),
    [
        (b'{"title": "x"}', "application/json", 400, "title"),
        (b"[]", "application/json", 400, "body"),
        (b"{", "application/json", 400, "body"),
        (b"x", "text/plain", 415, None),
        (b" " * 70_000 + b"{}", "application/json", 413, None),
    ],
)
async def test_a_body_that_says_something_is_refused(
    ann: Caller, body: bytes, kind: str, status: int, field: str | None
):
    task = await ann.task()
    await ann("DELETE", f"/tasks/{task['id']}")
    response = await ann("POST", f"/trash/{task['id']}/restore", body=body, headers=[("content-type", kind)])
    assert response.status == status
    if field is not None:
        assert response.json()["fields"][0]["field"] == field
    assert len(await trash(ann)) == 1


async def test_a_task_is_removed_for_good_and_its_deletion_stays(ann: Caller):
    task = await named(ann)
    await ann("DELETE", f"/tasks/{UID}")
    before = (await ann("GET", f"/changes?since={task['revision']}")).json()
    assert (await ann("PATCH", f"/tasks/{UID}", json={"title": "x"})).json()["restorable"] is True
    removed = await ann("DELETE", f"/trash/{UID}")
    assert (removed.status, removed.body) == (204, b"")
    assert await trash(ann) == []
    assert (await ann("GET", f"/changes?since={task['revision']}")).json() == before
    gone = await ann("PATCH", f"/tasks/{UID}", json={"title": "x"})
    assert (gone.status, gone.json()["restorable"]) == (410, False)
    for key in (UID, task["id"]):
        assert (await ann("POST", f"/trash/{key}/restore")).status == 404
        assert (await ann("DELETE", f"/trash/{key}")).status == 404


async def test_the_trash_is_emptied_as_often_as_one_likes(ann: Caller, bob: Caller):
    theirs = await deleted(bob, 2)
    found = await deleted(ann, 3)
    before = await ann.state()
    for _ in range(2):
        response = await ann("DELETE", "/trash")
        assert (response.status, response.body) == (204, b"")
    assert await trash(ann) == []
    assert await ann.state() == before
    assert (await ann("POST", f"/trash/{found[0]['id']}/restore")).status == 404
    assert await trash(bob) == theirs


async def test_a_newcomer_has_an_empty_trash_and_is_not_made_by_looking(ann: Caller):
    assert await trash(ann) == []
    assert (await ann("DELETE", "/trash")).status == 204
    for method, below in (("POST", "/trash/7/restore"), ("DELETE", "/trash/7"), ("POST", f"/trash/{UID}/restore")):
        response = await ann(method, below)
        assert (response.status, response.json()["code"]) == (404, "not_found")
    assert (await ann.state())["revision"] == 0


async def test_a_walk_over_pages_shows_each_task_once_in_the_order_of_deletion(ann: Caller):
    whole = await deleted(ann, 7)
    assert [task["title"] for task in whole] == ["6", "5", "4", "3", "2", "1", "0"]
    for limit in (1, 3, 7, 1_000):
        seen, below = [], f"/trash?limit={limit}"
        while below:
            response = await ann("GET", below)
            seen += response.json()
            assert len(response.json()) <= limit
            link = response.header("link")
            assert (link is not None) == (len(seen) < len(whole))
            target = follow(f"{ann.path}/trash", link.partition(">")[0][1:]) if link else ""
            below = target.removeprefix(ann.path)
        assert seen == whole


async def test_a_cursor_is_good_in_the_trash_of_one_user_and_in_no_other_list(ann: Caller, bob: Caller):
    await deleted(ann, 3)
    await deleted(bob, 3)
    for _ in range(2):
        await ann.task()

    async def cursor_of(caller: Caller, below: str) -> str:
        link = (await caller("GET", below)).header("link")
        return link.partition("cursor=")[2].partition(">")[0]

    good = await cursor_of(ann, "/trash?limit=1")
    assert len(await trash(ann, f"?limit=1000&cursor={good}")) == 2
    for query in (
        f"?limit=1&cursor={await cursor_of(bob, '/trash?limit=1')}",
        f"?limit=1&cursor={await cursor_of(ann, '/tasks?limit=1')}",
        f"?limit=1&cursor={good[:-1]}",
        f"?limit=1&cursor={good}A",
        f"?limit=1&cursor={good.swapcase()}",
        "?limit=1&cursor=%ff",
        "?limit=1&cursor=1",
        f"?cursor={good}",
    ):
        response = await ann("GET", "/trash" + query)
        assert (response.status, response.json()["fields"][0]["field"]) == (400, "cursor"), query
    assert (await ann("GET", f"/tasks?limit=1&cursor={good}")).status == 400


@pytest.mark.parametrize(
    ("query", "field"),
    [("?limit=0", "limit"), ("?limit=1001", "limit"), ("?limit=01", "limit"), ("?limit=", "limit"), ("?q=x", "q"),
     ("?limit=1&limit=1", "limit"), ("?sort=title", "sort"), ("?cursor=", "cursor")],
)  # fmt: skip
async def test_a_bad_parameter_is_named(ann: Caller, query: str, field: str):
    response = await ann("GET", "/trash" + query)
    assert (response.status, response.json()["fields"][0]["field"]) == (400, field)


@pytest.mark.parametrize(
    ("method", "below"), [("DELETE", "/trash"), ("DELETE", "/trash/1"), ("POST", "/trash/1/restore")]
)
async def test_the_writes_take_no_parameters(ann: Caller, method: str, below: str):
    response = await ann(method, below + "?nonsense=1")
    assert (response.status, response.json()["fields"][0]["field"]) == (400, "nonsense")


async def test_a_full_quota_refuses_to_restore_and_loses_nothing(serve: Serve):
    with serve(quota=2) as api:
        ann = api.user()
        task = await named(ann)
        await ann("DELETE", f"/tasks/{UID}")
        others = [await ann.task() for _ in range(2)]
        before = await trash(ann), await ann.state()
        for key in (UID, task["id"]):
            response = await ann("POST", f"/trash/{key}/restore")
            assert (response.status, response.json()["code"]) == (409, "quota")
        assert (await trash(ann), await ann.state()) == before
        await ann("DELETE", f"/tasks/{others[0]['id']}")
        assert (await ann("POST", f"/trash/{UID}/restore")).status == 200


async def test_two_restores_at_once_are_one_change(ann: Caller):
    task = await named(ann)
    await ann("DELETE", f"/tasks/{UID}")
    responses = await asyncio.gather(*(ann("POST", f"/trash/{key}/restore") for key in (UID, task["id"]) * 8))
    assert {(response.status, response.body) for response in responses} == {(200, responses[0].body)}
    assert (await ann.state())["revision"] == task["revision"] + 2


async def test_a_key_is_ignored_where_repeating_does_no_harm(ann: Caller):
    task = await ann.task()
    key = [("idempotency-key", "one")]
    for _ in range(2):
        await ann("DELETE", f"/tasks/{task['id']}")
        response = await ann("POST", f"/trash/{task['id']}/restore", headers=key)
        assert (response.status, response.header("idempotency-replayed")) == (200, None)
    assert await trash(ann) == []


async def test_another_users_trash_does_not_exist(ann: Caller, bob: Caller):
    theirs = await named(bob, "a-name-of-bob")
    await bob("DELETE", f"/tasks/{theirs['id']}")
    await ann.task()

    def without_id(response: Response) -> tuple[Any, ...]:
        request_id = response.header("x-request-id") or ""
        return response.status, response.body.replace(request_id.encode(), b"")

    never = theirs["id"] + 1_000
    for pair in ((theirs["id"], never), ("a-name-of-bob", "a-name-of-eve")):
        for method, below in (("POST", "/trash/{}/restore"), ("DELETE", "/trash/{}")):
            first, second = [without_id(await ann(method, below.format(key))) for key in pair]
            assert first == second
            assert first[0] == 404
    for method, below in (("GET", ""), ("DELETE", ""), ("DELETE", "/7"), ("POST", "/7/restore")):
        response = await ann.api.request(method, f"{bob.path}/trash{below}", token=ann.token)
        assert (response.status, response.json()["code"]) == (403, "forbidden")
    assert [task["id"] for task in await trash(bob)] == [theirs["id"]]


async def test_a_trash_of_many_long_tasks_comes_whole_and_compressed(ann: Caller):
    for number in range(130):
        task = await ann.task(title=f"{number}", description="é" * 3_000)
        await ann("DELETE", f"/tasks/{task['id']}")
    response = await ann("GET", "/trash")
    assert response.header("content-length") is None, "it is sent in pieces"
    found = response.json()
    assert [task["title"] for task in found] == [f"{number}" for number in range(129, -1, -1)]
    assert {task["description"] for task in found} == {"é" * 3_000}
    assert all(list(task)[-2:] == ["deleted_at", "expires_at"] for task in found)
    head = await ann("HEAD", "/trash")
    assert (head.status, head.body) == (200, b"")


async def test_time_ends_what_can_be_restored_for_every_reader_at_once():
    clock = FakeClock()
    with in_memory(clock=clock) as api:
        ann = api.user()
        task = await named(ann)
        await ann("DELETE", f"/tasks/{UID}")
        clock.advance(days=30, microseconds=-1)
        assert len(await trash(ann)) == 1
        assert (await ann("PATCH", f"/tasks/{UID}", json={"title": "x"})).json()["restorable"] is True
        clock.advance(microseconds=1)
        assert await trash(ann) == []
        assert (await ann("PATCH", f"/tasks/{UID}", json={"title": "x"})).json()["restorable"] is False
        for key in (UID, task["id"]):
            assert (await ann("POST", f"/trash/{key}/restore")).status == 404
            assert (await ann("DELETE", f"/trash/{key}")).status == 404
