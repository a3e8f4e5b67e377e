"""docs/api.md, "Names that clients give": a task under the name that its client gave it."""

import asyncio
from itertools import count
from typing import Any

import pytest
from apis import Caller

NAMES = ["0199c3a8-5d1e-7c4f-9b0a-3f7d2c11e8aa", "a123456789", "123456789-", "~._@-~._@-", "x" * 128, "me@example.org"]
NO_KEYS = [
    *("abc", "undefined", "+1", "1_0", "01", "0", "%31", "1%30", "9007199254740992", "12345678901234567", "1" * 128),
    *("a" * 129, "a" * 9, "a%20bcdefghij", "a%2Fbcdefghij", "caf%C3%A9-abcdef", "%FFabcdefghij", "a+bcdefghij"),
    *("%D9%A3" * 10, "abcdefghij%0A", "abcdefghi%", "null-------%00"),
]
METHODS = [("GET", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("PATCH", "/complete")]
_numbers = count(1)


def how(method: str, below: str) -> dict[str, Any]:
    return {"json": {"title": "x"}} if method in {"PUT", "PATCH"} and not below else {}


@pytest.mark.parametrize("uid", NAMES)
async def test_a_put_creates_the_task_of_a_name_and_every_path_takes_it(ann: Caller, uid: str):
    response = await ann("PUT", f"/tasks/{uid}", json={"title": "Buy milk", "tags": ["home"], "completed": True})
    task = response.json()
    assert (response.status, task["uid"], task["title"], task["completed"]) == (201, uid, "Buy milk", True)
    assert response.header("etag") == f'"{task["revision"]}"'
    assert response.header("location") is None
    encoded = "".join(f"%{byte:02x}" for byte in uid.encode())
    for key in (uid, encoded, task["id"]):
        assert (await ann("GET", f"/tasks/{key}")).json() == task
    assert await ann.list() == [task]
    assert (await ann("PATCH", f"/tasks/{uid}/complete")).json()["completed"] is False
    assert (await ann("PATCH", f"/tasks/{uid}", json={"title": "x"})).json()["title"] == "x"
    now = (await ann("PUT", f"/tasks/{encoded}", json={"title": "y"})).json()
    assert (now["id"], now["title"], now["revision"]) == (task["id"], "y", task["revision"] + 3)
    assert (await ann("PUT", f"/tasks/{uid}", json=now)).json() == now
    assert (await ann("DELETE", f"/tasks/{uid}")).status == 204
    (gone,) = (await ann("GET", f"/changes?since={now['revision']}")).json()["deleted"]
    assert (gone["id"], gone["uid"], gone["revision"]) == (task["id"], uid, now["revision"] + 1)


@pytest.mark.parametrize("key", NO_KEYS)
async def test_what_is_neither_an_id_nor_a_name_is_400(ann: Caller, key: str):
    for method, below in METHODS:
        response = await ann(method, f"/tasks/{key}{below}", **how(method, below))
        assert (response.status, response.json()["fields"][0]["field"]) == (400, "id"), method


async def test_a_name_that_is_not_known_is_404_for_all_but_a_put_that_creates(ann: Caller, bob: Caller):
    await bob("PUT", "/tasks/a-name-of-bob", json={"title": "secret"})
    for uid in ("never-a-name", "a-name-of-bob"):
        for method, below in METHODS[:1] + METHODS[2:]:
            assert (await ann(method, f"/tasks/{uid}{below}", **how(method, below))).status == 404
        for body in ({"description": "x"}, {"title": "x", "id": 1}, {"title": "x", "revision": 1}):
            assert (await ann("PUT", f"/tasks/{uid}", json=body)).status == 404
        for value in ("*", '"1"', 'W/"9"'):
            response = await ann("PUT", f"/tasks/{uid}", json={"title": "x"}, headers=[("if-match", value)])
            assert response.status == 404
    nulls = {"title": "mine", "id": None, "uid": None, "user_id": None, "revision": None, "updated_at": 5}
    made = await ann("PUT", "/tasks/a-name-of-bob", json=nulls)
    assert (made.status, made.json()["title"]) == (201, "mine")
    assert (await bob("GET", "/tasks/a-name-of-bob")).json()["title"] == "secret"


async def test_what_is_wrong_with_a_put_is_400_whether_or_not_the_task_is_there(ann: Caller):
    await ann("PUT", "/tasks/there-is-one", json={"title": "x"})
    for uid in ("there-is-one", "there-is-none"):
        for body, field in (
            ({"title": ""}, "title"),
            ({"title": "x", "status": "complete", "completed": False}, "completed"),
            ({"title": "x", "revision": "1"}, "revision"),
            ({"title": "x", "uid": "another-name"}, "uid"),
            ({"title": "x", "uid": 5}, "uid"),
            ({"title": "x", "user_id": "bob"}, "user_id"),
            ({"uid": uid}, "body"),
        ):
            response = await ann("PUT", f"/tasks/{uid}", json=body)
            assert (response.status, response.json()["fields"][0]["field"]) == (400, field), body
    for method, path in (("POST", "/tasks"), ("PATCH", "/tasks/there-is-one")):
        response = await ann(method, path, json={"title": "x", "uid": "there-is-none"})
        assert (response.status, response.json()["fields"][0]["field"]) == (400, "uid")
    assert len(await ann.list()) == 1


async def test_if_none_match_star_creates_only(ann: Caller):
    only = [("if-none-match", " * ")]
    made = await ann("PUT", "/tasks/only-create", json={"title": "x"}, headers=only)
    assert made.status == 201
    task = made.json()
    for key in ("only-create", task["id"]):
        for body in ({"title": "x"}, {"title": "y"}, {"description": "no title"}, task):
            response = await ann("PUT", f"/tasks/{key}", json=body, headers=only)
            assert (response.status, response.json()["code"], response.json()["current"]) == (412, "exists", task)
            assert response.header("etag") == made.header("etag")
    assert (await ann("PUT", f"/tasks/{task['id'] + 1_000_000}", json={"title": "x"}, headers=only)).status == 404
    for several in (["*", "*"], ["*, *"], ['*, "1"'], ["*", ""], ['"a*"', "*"]):
        headers = [("if-none-match", value) for value in several]
        response = await ann("PUT", "/tasks/only-create", json={"title": "y"}, headers=headers)
        assert (response.status, response.json()["code"]) == (412, "exists"), several
    for value in (made.header("etag"), '"x"', "W/", "nonsense", '"*"', '"a,*"'):
        response = await ann("PUT", "/tasks/only-create", json={"title": "x"}, headers=[("if-none-match", value)])
        assert (response.status, response.json()) == (200, task), value
    both = [*only, ("if-match", '"1"')]
    assert (await ann("PUT", "/tasks/only-create", json={"title": "x"}, headers=both)).json()["code"] == "stale"


async def test_a_deleted_name_is_410_for_every_write_whatever_its_conditions(ann: Caller):
    task = (await ann("PUT", "/tasks/soon-gone-1", json={"title": "x"})).json()
    await ann("DELETE", "/tasks/soon-gone-1", headers=[("if-match", f'"{task["revision"]}"')])
    deleted = (await ann("GET", f"/changes?since={task['revision']}")).json()["deleted"][0]
    assert deleted["revision"] == task["revision"] + 1
    conditions: list[list[tuple[str, str]]] = [[], [("if-match", "*")], [("if-match", '"1"')], [("if-none-match", "*")]]
    for method, below in METHODS[1:3] + METHODS[4:]:
        for headers in conditions:
            response = await ann(method, f"/tasks/soon-gone-1{below}", headers=headers, **how(method, below))
            body = response.json()
            assert (response.status, body["code"], body["deleted"], body["restorable"]) == (410, "gone", deleted, True)
    for body in (task, {"description": "no title"}, {"title": "x", "id": task["id"]}):
        assert (await ann("PUT", "/tasks/soon-gone-1", json=body)).status == 410
    for headers in conditions:
        assert (await ann("DELETE", "/tasks/soon-gone-1", headers=headers)).status == 204
        assert (await ann("DELETE", f"/tasks/{task['id']}", headers=headers)).status == 404
    assert (await ann("GET", "/tasks/soon-gone-1")).status == 404
    assert (await ann("PUT", f"/tasks/{task['id']}", json=task)).status == 404
    assert (await ann("GET", "/changes")).json()["revision"] == deleted["revision"]


async def test_thirty_racing_puts_of_one_name_are_one_task_and_one_201(ann: Caller):
    uid = f"a-name-for-thirty-{next(_numbers)}"
    responses = await asyncio.gather(*(ann("PUT", f"/tasks/{uid}", json={"title": "x"}) for _ in range(30)))
    assert sorted(response.status for response in responses) == [200] * 29 + [201]
    (task,) = await ann.list()
    assert all(response.json() == task for response in responses)


async def test_racing_creations_and_deletions_of_a_name_leave_it_alive_or_gone_and_never_both(ann: Caller):
    for number in range(5):
        path = f"/tasks/a-raced-name-{number}"
        writes = [ann("PUT", path, json={"title": "x"}), ann("DELETE", path), ann("PATCH", path, json={"title": "y"})]
        writes += [ann("PUT", path, json={"title": "z"}), ann("DELETE", path)]
        assert {response.status for response in await asyncio.gather(*writes)} <= {200, 201, 204, 404, 410}
        alive = (await ann("GET", path)).status == 200
        assert (await ann("PATCH", path, json={})).status == (200 if alive else 410)
        assert sum(task["uid"] == path.removeprefix("/tasks/") for task in await ann.list()) == alive
