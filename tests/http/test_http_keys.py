"""docs/api.md, "Safe retries": an Idempotency-Key on PUT, PATCH, DELETE and complete."""

import asyncio
from itertools import count
from typing import Any

import pytest
from apis import Caller

_numbers = count(1)

WRITES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "put": ("PUT", "", {"json": {"title": "by a put"}}),
    "patch": ("PATCH", "", {"json": {"title": "by a patch"}}),
    "toggle": ("PATCH", "/complete", {}),
    "set": ("PATCH", "/complete", {"json": {"completed": True}}),
}


def keyed(key: str, *more: tuple[str, str]) -> dict[str, Any]:
    return {"headers": [("idempotency-key", key), *more]}


async def named(ann: Caller) -> dict[str, Any]:
    task: dict[str, Any] = (await ann("PUT", f"/tasks/a-keyed-name-{next(_numbers)}", json={"title": "x"})).json()
    return task


@pytest.mark.parametrize("address", ["id", "uid"])
@pytest.mark.parametrize("name", WRITES)
async def test_a_repeated_write_is_done_once_and_answers_with_the_task_as_it_is_now(
    ann: Caller, name: str, address: str
):
    task = await named(ann)
    method, below, how = WRITES[name]
    path = f"/tasks/{task[address]}{below}"
    if_match = ("if-match", f'"{task["revision"]}"')
    first = await ann(method, path, **how, **keyed(name, if_match))
    assert (first.status, first.header("idempotency-replayed")) == (200, None)
    assert first.json()["revision"] == task["revision"] + 1
    for spelling in (name, f'"{name}"'):
        for more in ([if_match], []):
            again = await ann(method, path, **how, **keyed(spelling, *more))
            assert (again.status, again.json(), again.header("idempotency-replayed")) == (200, first.json(), "true")
            assert again.header("etag") == first.header("etag")
    moved = (await ann("PATCH", f"/tasks/{task['id']}", json={"description": "moved on"})).json()
    again = await ann(method, path, **how, **keyed(name))
    assert (again.json(), again.header("idempotency-replayed")) == (moved, "true")
    assert await ann.list() == [moved]
    await ann("DELETE", f"/tasks/{task['id']}")
    assert (await ann(method, path, **how, **keyed(name))).status == (404 if address == "id" else 410)


async def test_a_repeated_deletion_is_204(ann: Caller):
    for address in ("id", "uid"):
        task = await named(ann)
        path, if_match = f"/tasks/{task[address]}", ("if-match", f'"{task["revision"]}"')
        responses = [await ann("DELETE", path, **keyed(address, if_match)) for _ in range(3)]
        assert [(each.status, each.header("idempotency-replayed")) for each in responses] == [
            (204, None),
            (204, "true"),
            (204, "true"),
        ]
        assert (await ann("DELETE", f"/tasks/{task['id']}")).status == 404


async def test_a_put_that_created_is_repeated_as_200(ann: Caller):
    made = await ann("PUT", "/tasks/made-once-by-key", json={"title": "x"}, **keyed("k", ("if-none-match", "*")))
    again = await ann("PUT", "/tasks/made-once-by-key", json={"title": "x"}, **keyed("k", ("if-none-match", "*")))
    assert (made.status, again.status, again.json()) == (201, 200, made.json())
    assert again.header("idempotency-replayed") == "true"


async def test_another_method_path_or_body_under_the_same_key_is_422_and_nothing_is_done(ann: Caller):
    task, other = await named(ann), await named(ann)
    path = f"/tasks/{task['id']}"
    first = await ann("PATCH", path, json={"title": "y"}, **keyed("k"))
    for method, target, how in (
        ("PUT", path, {"json": {"title": "y"}}),
        ("PATCH", path, {"json": {"title": "z"}}),
        ("PATCH", path, {"body": b'{"title":"y" }', "headers": [("content-type", "application/json")]}),
        ("PATCH", f"/tasks/{task['uid']}", {"json": {"title": "y"}}),
        ("PATCH", f"/tasks/{other['id']}", {"json": {"title": "y"}}),
        ("PATCH", f"{path}/complete", {}),
        ("POST", "/tasks", {"json": {"title": "y"}}),
        ("DELETE", path, {}),
    ):
        headers = [*how.pop("headers", []), ("idempotency-key", "k")]
        response = await ann(method, target, **how, headers=headers)
        assert (response.status, response.json()["code"]) == (422, "idempotency_mismatch"), (method, target)
    assert sorted(each["id"] for each in await ann.list()) == sorted([task["id"], other["id"]])
    assert await ann.read(task) == first.json()
    encoded = "".join(f"%{byte:02x}" for byte in task["uid"].encode())
    await ann("PATCH", f"/tasks/{task['uid']}/complete", **keyed("c"))
    again = await ann("PATCH", f"/tasks/{encoded}/complete", **keyed("c"))
    assert again.header("idempotency-replayed") == "true"


async def test_what_failed_or_changed_nothing_is_not_remembered(ann: Caller):
    task = await named(ann)
    path = f"/tasks/{task['id']}"
    assert (await ann("PATCH", path, json={"title": "y"}, **keyed("k", ("if-match", '"1"')))).status == 412
    assert (await ann("PATCH", path, json={"title": ""}, **keyed("k"))).status == 400
    same = await ann("PATCH", path, json={"title": "x"}, **keyed("k"))
    assert (same.json(), same.header("idempotency-replayed")) == (task, None)
    done = await ann("PATCH", path, json={"title": "y"}, **keyed("k"))
    assert done.json()["revision"] == task["revision"] + 1


@pytest.mark.parametrize("key", ["", '""', "a b", "é", '"a', "x" * 256])
async def test_a_malformed_key_is_400_on_every_write_and_ignored_elsewhere(ann: Caller, key: str):
    task = await named(ann)
    path = f"/tasks/{task['id']}"
    for method, below, how in (*WRITES.values(), ("DELETE", "", {})):
        response = await ann(method, path + below, **how, **keyed(key.encode("latin-1").decode("latin-1")))
        assert (response.status, response.json()["fields"][0]["field"]) == (400, "Idempotency-Key")
    for below in (path, "/tasks", "/changes"):
        assert (await ann("GET", below, **keyed(key))).status == 200
    assert await ann.read(task) == task


async def test_fifty_racing_toggles_with_one_key_are_one_toggle(ann: Caller):
    task = await named(ann)
    path = f"/tasks/{task['uid']}/complete"
    responses = await asyncio.gather(*(ann("PATCH", path, **keyed("race")) for _ in range(50)))
    assert {response.status for response in responses} == {200}
    assert sorted(response.header("idempotency-replayed") or "" for response in responses) == [""] + ["true"] * 49
    now = await ann.read(task)
    assert (now["completed"], now["revision"]) == (True, task["revision"] + 1)
    assert all(response.json() == now for response in responses)
