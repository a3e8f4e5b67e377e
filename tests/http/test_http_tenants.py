"""Nobody reaches anybody else's tasks: every operation, read from the document, so that none is forgotten."""

from typing import Any
from urllib.parse import quote

import documented
import pytest
from apis import Api, Caller
from conformance import resolved

OPERATIONS = {name: each for name, each in documented.OPERATIONS.items() if each[1].startswith("/api/")}
WITH_ID = [name for name, (_, path, _) in OPERATIONS.items() if "{key}" in path]
NEVER_WAS = 9_007_199_254_740_991


def good_request(name: str, user: str, task_id: object, caller: Caller) -> tuple[str, str, dict[str, Any]]:
    """The least that the document asks for, with its own example of a body; `confirm` is the caller."""
    method, path, operation = OPERATIONS[name]
    how: dict[str, Any] = {}
    body = operation.get("requestBody")
    if body and body["required"]:
        examples = next(iter(body["content"].values()))["examples"]
        how["json"] = next(iter(examples.values()))["value"]
    needed = [p["name"] for p in map(resolved, operation["parameters"]) if p.get("required") and p["in"] != "path"]
    query = {(): "", ("confirm",): f"?confirm={quote(caller.id, safe='')}"}[tuple(needed)]
    return method, path.replace("{user_id}", user).replace("{key}", str(task_id)) + query, how


def terrible_request(name: str) -> tuple[str, str, dict[str, Any]]:
    """The same operation with everything wrong but the route and the method."""
    method, path, _ = OPERATIONS[name]
    target = path.replace("{user_id}", "%ff").replace("{key}", "01") + "?nonsense=&limit=0&limit=0&q=%ff"
    headers = [
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("if-match", "17"),
        ("if-none-match", "17"),
        ("idempotency-key", '"'),
    ]
    return method, target, {"headers": headers, "body": b"[" * 70_000}


def test_the_matrix_covers_the_routes_of_the_contract():
    assert {(method, path) for method, path, _ in OPERATIONS.values()} >= {
        ("GET", "/api/{user_id}/tasks"),
        ("POST", "/api/{user_id}/tasks"),
        ("GET", "/api/{user_id}/tasks/{key}"),
        ("PUT", "/api/{user_id}/tasks/{key}"),
        ("PATCH", "/api/{user_id}/tasks/{key}"),
        ("DELETE", "/api/{user_id}/tasks/{key}"),
        ("PATCH", "/api/{user_id}/tasks/{key}/complete"),
        ("POST", "/api/{user_id}/batch"),
        ("GET", "/api/{user_id}/changes"),
        ("GET", "/api/{user_id}/export"),
        ("POST", "/api/{user_id}/import"),
        ("DELETE", "/api/{user_id}"),
        ("GET", "/api/{user_id}/trash"),
        ("DELETE", "/api/{user_id}/trash"),
        ("DELETE", "/api/{user_id}/trash/{key}"),
        ("POST", "/api/{user_id}/trash/{key}/restore"),
    }
    assert all("{user_id}" in path for _, path, _ in OPERATIONS.values())


@pytest.mark.parametrize("name", OPERATIONS)
async def test_ones_own_place_is_open_by_name_and_as_me(ann: Caller, name: str):
    if name == "stream_events" and ann.api.store is None:
        pytest.skip("a stream of a real server does not end: see test_events_served.py")
    for user in (ann.id, "me"):
        task = await ann.task()
        if name == "discard_task":
            await ann("DELETE", f"/tasks/{task['id']}")
        method, target, how = good_request(name, user, task["id"], ann)
        response = await ann.api.request(method, target, token=ann.token, **how)
        assert response.status in {200, 201, 204, 207}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_anothers_path_is_403_with_their_id_with_ones_own_and_with_none(ann: Caller, bob: Caller, name: str):
    mine, theirs = await ann.task(), await bob.task()
    states = await ann.state(), await bob.state()
    for task_id in (mine["id"], theirs["id"], NEVER_WAS, "01"):
        has_head = OPERATIONS[name][0] == "GET" and name != "stream_events"
        for method in {OPERATIONS[name][0], "HEAD" if has_head else OPERATIONS[name][0]}:
            _, target, how = good_request(name, bob.id, task_id, bob)
            response = await ann.api.request(method, target, token=ann.token, **how)
            assert response.status == 403
            assert theirs["title"].encode() not in response.body
    assert (await ann.state(), await bob.state()) == states


@pytest.mark.parametrize("name", WITH_ID)
async def test_anothers_task_is_a_task_that_never_was_byte_for_byte(ann: Caller, bob: Caller, name: str):
    theirs = await bob.task(title="a secret", completed=True)
    if "/trash/" in OPERATIONS[name][1]:
        await bob("DELETE", f"/tasks/{theirs['id']}")
    state = await bob.state()
    conditions = [
        [],
        [("if-match", "*")],
        [("if-match", f'"{theirs["revision"]}"')],
        [("if-match", '"99"')],
        [("if-none-match", "*")],
    ]
    for headers in conditions:
        responses = []
        for user in (ann.id, "me"):
            for task_id in (theirs["id"], NEVER_WAS):
                method, target, how = good_request(name, user, task_id, ann)
                response = await ann.api.request(
                    method, target, token=ann.token, headers=[*headers, ("x-request-id", "same")], **how
                )
                assert response.status == 404
                responses.append(
                    (response.status, [header for header in response.headers if header[0] != "date"], response.body)
                )
        assert responses == responses[:1] * 4
        assert b"secret" not in responses[0][2]
    assert await bob.state() == state


async def test_a_deleted_task_is_like_one_that_never_was(ann: Caller):
    task = await ann.task()
    await ann("DELETE", f"/tasks/{task['id']}")
    await ann("DELETE", "/trash")
    for name in WITH_ID:
        bodies = set()
        for task_id in (task["id"], NEVER_WAS):
            method, target, how = good_request(name, "me", task_id, ann)
            bodies.add(
                (await ann.api.request(method, target, token=ann.token, headers=[("x-request-id", "same")], **how)).body
            )
        assert len(bodies) == 1


@pytest.mark.parametrize("name", OPERATIONS)
async def test_without_a_valid_token_it_is_401_whatever_else_is_wrong(api: Api, ann: Caller, name: str):
    task = await ann.task()
    state = await ann.state()
    forged = ann.token[:-8] + ("A" * 8 if not ann.token.endswith("A" * 8) else "B" * 8)
    for method, target, how in (
        good_request(name, ann.id, task["id"], ann),
        good_request(name, "me", NEVER_WAS, ann),
        terrible_request(name),
    ):
        bare = await api.request(method, target, **how)
        assert (bare.status, bare.header("www-authenticate")) == (401, 'Bearer realm="todo"')
        for token in ("x", "x.y.z", forged, api.token(ann.id, exp=1)):
            response = await api.request(method, target, token=token, **how)
            assert response.status == 401
            assert response.header("www-authenticate").startswith('Bearer realm="todo", error="invalid_token", error_')
        twice = [*how.get("headers", []), ("authorization", f"Bearer {ann.token}")]
        assert (await api.request(method, target, token=ann.token, **how | {"headers": twice})).status == 401
    assert await ann.state() == state


async def test_nothing_of_another_user_is_in_a_list_a_page_a_search_or_changes(ann: Caller, bob: Caller):
    for _ in range(3):
        await bob.task(title="shared words", tags=["shared"])
        await ann.task(title="shared words", tags=["shared"])
    for query in ("", "?limit=2", "?q=shared", "?tag=shared", "?sort=title&limit=1000", "?status=incomplete"):
        assert {task["user_id"] for task in await ann.list(query)} == {ann.id}
    state = await ann.state()
    assert {task["user_id"] for task in state["tasks"]} == {ann.id}
    assert await ann.writes() == 3
