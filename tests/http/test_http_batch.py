"""docs/api.md, "Batches": many operations in one request, each by the rules of its own."""

import asyncio
import json
from itertools import count
from typing import Any

import pytest
from apis import Api, Caller, in_memory

from support.recorded_events import RecordedEvents
from todo_adapters.http.middleware.rate_limit import Rate
from todo_adapters.http.protocol.body import DEFAULT_BATCH_LIMIT
from todo_adapters.memory import MemoryTasks
from todo_domain import Unavailable

_numbers = count(1)


def uid() -> str:
    return f"a-batched-name-{next(_numbers)}"


def put(key: object, task: object = None, **more: object) -> dict[str, object]:
    return {"op": "put", "key": key, "task": {"title": "x"} if task is None else task, **more}


def patch(key: object, task: object = None, **more: object) -> dict[str, object]:
    return {"op": "patch", "key": key, "task": {"title": "y"} if task is None else task, **more}


def delete(key: object, **more: object) -> dict[str, object]:
    return {"op": "delete", "key": key, **more}


async def batch(ann: Caller, *operations: object, **more: object) -> Any:
    return await ann("POST", "/batch", json={"operations": operations, **more})


def statuses(response: Any) -> list[int]:
    return [result["status"] for result in response.json()["results"]]


# Results.


async def test_a_batch_that_is_done_whole_is_200_and_each_result_is_that_of_its_request(ann: Caller):
    old, other = await ann.task(title="old"), await ann.task(title="other")
    name = uid()
    response = await batch(
        ann,
        put(name, {"title": "Buy milk", "extra": {"list": "home"}}, create_only=True),
        patch(name, {"completed": True, "extra": {"list": None, "n": 1}}),
        patch(old["id"], {"title": "New"}, if_match=old["revision"]),
        put(str(old["id"]), {"priority": "high"}),
        patch(old["id"], {}),
        delete(other["id"], if_match=other["revision"]),
    )
    assert response.status == 200
    assert response.header("cache-control") == "private, no-cache"
    assert [response.header(name) for name in ("etag", "location", "vary", "content-encoding")] == [None] * 4
    assert response.json()["failed"] == 0
    assert statuses(response) == [201, 200, 200, 200, 200, 204]
    made, completed, renamed, raised, same, deleted = response.json()["results"]
    assert made["task"] == completed["task"] | {
        "completed": False,
        "status": "incomplete",
        "completed_at": None,
        "extra": {"list": "home"},
        "revision": made["task"]["revision"],
    }
    assert (made["task"]["uid"], completed["task"]["extra"]) == (name, {"n": 1})
    assert same == raised == {"status": 200, "task": renamed["task"] | {"priority": "high"} | _touched(raised)}
    assert deleted == {"status": 204}
    first = other["revision"] + 1
    revisions = [result["task"]["revision"] for result in (made, completed, renamed, raised)]
    assert revisions == [first, first + 1, first + 2, first + 3]
    state = await ann.state()
    assert state["tasks"] == [completed["task"], raised["task"]]
    assert state["revision"] == first + 4


def _touched(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result["task"][name] for name in ("revision", "updated_at")}


async def test_what_fails_changes_nothing_the_rest_is_done_and_the_response_is_207(ann: Caller):
    task, gone = await ann.task(), uid()
    await ann("PUT", f"/tasks/{gone}", json={"title": "x"})
    await ann("DELETE", f"/tasks/{gone}")
    there = (await ann("PUT", f"/tasks/{uid()}", json={"title": "there"})).json()
    operations = [
        put(there["uid"], create_only=True),
        patch(task["id"], if_match=task["revision"] + 1),
        put(task["id"], {"title": "x", "revision": 1}),
        patch(gone),
        delete(gone),
        patch(uid()),
        delete(10**12),
        patch(task["id"], {"title": " "}),
        put(task["id"], {"id": 7, "title": "x"}),
        put(uid(), {"title": "the rest"}),
    ]
    response = await batch(ann, *operations)
    assert response.status == 207
    assert response.json()["failed"] == 8
    assert statuses(response) == [412, 412, 412, 410, 204, 404, 404, 400, 400, 201]
    for operation, result in zip(operations, response.json()["results"], strict=True):
        if result["status"] >= 400:
            assert result == await single(ann, operation)
    assert await ann.read(task) == task
    assert await ann.titles() == ["the rest", "there", task["title"]]


async def single(ann: Caller, operation: dict[str, Any]) -> dict[str, Any]:
    """Return the response to an operation's own request, as a result has it."""
    headers = []
    if "if_match" in operation:
        headers.append(("if-match", f'"{operation["if_match"]}"'))
    if operation.get("create_only"):
        headers.append(("if-none-match", "*"))
    how = {"json": operation["task"]} if "task" in operation else {}
    response = await ann(operation["op"].upper(), f"/tasks/{operation['key']}", headers=headers, **how)
    body = response.json()
    del body["request_id"]
    return {"status": response.status, **body}


async def test_a_batch_that_is_sent_again_does_nothing_and_says_that_it_is_done(ann: Caller):
    task, other, name = await ann.task(), await ann.task(), uid()
    operations = [
        put(name, create_only=True),
        patch(task["id"], {"completed": True}),
        patch(task["id"], {"title": "last"}, if_match=task["revision"] + 3),
        delete(other["id"]),
    ]
    assert statuses(await batch(ann, *operations)) == [201, 200, 200, 204]
    state = await ann.state()
    response = await batch(ann, *operations)
    assert statuses(response) == [412, 200, 412, 404]
    assert response.json()["results"][2]["current"]["title"] == "last"
    assert await ann.state() == state


async def test_a_hundred_operations_are_done_and_one_more_is_400(ann: Caller):
    response = await batch(ann, *(put(uid()) for _ in range(100)))
    assert statuses(response) == [201] * 100
    response = await batch(ann, *(put(uid()) for _ in range(101)))
    assert (response.status, response.json()["fields"][0]["field"]) == (400, "operations")
    assert len(await ann.list()) == 100


async def test_another_users_task_is_one_that_never_was(ann: Caller, bob: Caller):
    theirs = (await bob("PUT", f"/tasks/{uid()}", json={"title": "theirs"})).json()
    operations = [make(key) for make in (patch, delete) for key in (theirs["id"], 10**12)]
    response = await batch(ann, *operations, patch(theirs["id"], if_match=1), put(theirs["id"]))
    results = response.json()["results"]
    assert results == [results[0]] * 6
    assert results[0]["status"] == 404
    assert statuses(await batch(ann, put(theirs["uid"], {"title": "mine"}))) == [201]
    assert await bob.read(theirs) == theirs


async def test_a_quota_that_is_reached_refuses_the_rest_of_the_creates():
    with in_memory(quota=2) as api:
        ann = api.user()
        response = await batch(ann, put(uid()), put(uid()), put(uid()), patch(uid()))
        assert (response.status, statuses(response)) == (207, [201, 201, 409, 404])
        assert response.json()["results"][2]["code"] == "quota"


# Atomic.


async def test_an_atomic_batch_is_done_whole(ann: Caller):
    response = await batch(ann, put(uid()), put(uid()), atomic=True)
    assert (response.status, statuses(response)) == (200, [201, 201])


@pytest.mark.parametrize("fails", ["stale", "exists", "gone", "quota", "absent", "invalid"])
async def test_the_first_failure_of_an_atomic_batch_answers_with_its_status_and_index_and_nothing_is_written(
    fails: str,
):
    with in_memory(quota=3) as api:
        ann = api.user()
        task, gone = (await ann("PUT", f"/tasks/{uid()}", json={"title": "there"})).json(), uid()
        await ann("PUT", f"/tasks/{gone}", json={"title": "x"})
        await ann("DELETE", f"/tasks/{gone}")
        state = await ann.state()
        failing = {
            "stale": [patch(task["id"], if_match=1)],
            "exists": [put(task["uid"], create_only=True)],
            "gone": [put(gone)],
            "quota": [put(uid()), put(uid())],
            "absent": [delete(10**12)],
            "invalid": [patch(task["id"], {"title": 5})],
        }[fails]
        response = await batch(ann, put(uid()), *failing, delete(10**12), atomic=True)
        body = response.json()
        assert body.pop("index") == len(failing)
        if fails == "quota":
            assert (response.status, body["code"]) == (409, "quota")
        else:
            alone = await single(ann, failing[0])
            del body["request_id"]
            assert {"status": response.status, **body} == alone
        current = task["revision"] if fails in {"stale", "exists"} else None
        assert response.header("etag") == (None if current is None else f'"{current}"')
        assert await ann.state() == state


async def test_an_atomic_batch_shows_the_task_as_it_is_and_none_that_is_not(ann: Caller):
    task, name = await ann.task(), uid()
    response = await batch(
        ann, patch(task["id"]), patch(task["id"], {"title": "z"}, if_match=task["revision"]), atomic=True
    )
    assert (response.status, response.json()["index"], response.json()["current"]) == (412, 1, task)
    assert response.header("etag") == f'"{task["revision"]}"'
    for code, operation in (("exists", put(name, create_only=True)), ("stale", patch(name, if_match=1))):
        response = await batch(ann, put(name), operation, atomic=True)
        assert response.status == 412
        assert response.json().keys() == {"error", "code", "index", "request_id"}
        assert (response.json()["code"], response.json()["index"], response.header("etag")) == (code, 1, None)
    response = await batch(ann, put(name), delete(name), patch(name), atomic=True)
    assert (response.status, response.json()["index"], response.json()["code"]) == (410, 2, "gone")
    assert await ann.list() == [task]


# Where the operations cannot be told apart.


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b'{"operations": [NaN]}', "body"),
        (b'{"operations": [{"op": "put", "key": 1, "task": {"title": NaN}}]}', "body"),
        (b"[" * 100_000, "body"),
        (b"{}", "operations"),
        ({"operations": []}, "operations"),
        ({"operations": None}, "operations"),
        ({"operations": {}}, "operations"),
        ({"operations": [delete(1)], "more": 1}, "more"),
        (b'{"operations": [], "operations": []}', "operations"),
        ({"operations": [delete(1)], "atomic": None}, "atomic"),
        ({"operations": [delete(1)], "atomic": 1}, "atomic"),
        ({"operations": [delete(1)], "atomic": "true"}, "atomic"),
        ({"operations": [delete(1), 5]}, "operations[1]"),
        ({"operations": [None]}, "operations[0]"),
        ({"operations": [{"key": 1}]}, "operations[0].op"),
        ({"operations": [{"op": "toggle", "key": 1}]}, "operations[0].op"),
        ({"operations": [{"op": None, "key": 1}]}, "operations[0].op"),
        ({"operations": [{"op": ["put"], "key": 1}]}, "operations[0].op"),
        ({"operations": [delete(1), delete(1), delete(1), {"op": "delete"}]}, "operations[3].key"),
        *(
            ({"operations": [delete(key)]}, "operations[0].key")
            for key in (
                0,
                -1,
                2**53,
                10**400,
                1.0,
                True,
                None,
                [],
                "",
                "0",
                "01",
                "-1",
                "+1",
                "1_0",
                "undefined",
                "abc",
            )
        ),
        *(
            ({"operations": [delete(key)]}, "operations[0].key")
            for key in ("9007199254740992", "a" * 129, "0123456789", "a%20b-c-d-e", "no spaces here", "\u0661" * 12)
        ),
        (b'{"operations": [{"op": "delete", "key": "a-name-\\ud800-x"}]}', "operations[0].key"),
        (b'{"operations": [{"op": "delete", "key": 1, "key": 2}]}', "operations[0].key"),
        ({"operations": [{"op": "put", "key": 1}]}, "operations[0].task"),
        ({"operations": [{"op": "patch", "key": 1}]}, "operations[0].task"),
        ({"operations": [put(1, [])]}, "operations[0].task"),
        ({"operations": [{"op": "put", "key": 1, "task": None}]}, "operations[0].task"),
        ({"operations": [delete(1, task={"title": "x"})]}, "operations[0].task"),
        *(
            ({"operations": [make(1, if_match=wrong)]}, "operations[0].if_match")
            for make in (put, patch, delete)
            for wrong in (None, "1", '"1"', 1.0, True, [1], 0, -1, 2**53)
        ),
        *(({"operations": [put(1, create_only=wrong)]}, "operations[0].create_only") for wrong in (None, 1, "true")),
        ({"operations": [patch(1, create_only=True)]}, "operations[0].create_only"),
        ({"operations": [delete(1, create_only=False)]}, "operations[0].create_only"),
        ({"operations": [delete(1), put(1, title="x")]}, "operations[1].title"),
        (b'{"operations": [{"op": "delete", "key": 1, "\\ud800": 1}]}', "operations[0].\\ud800"),
    ],
    ids=lambda value: (value if isinstance(value, str) else "")[:40],
)
async def test_a_batch_whose_operations_cannot_be_told_apart_is_400_and_nothing_is_written(
    ann: Caller, body: Any, field: str
):
    task = await ann.task()
    how: dict[str, Any] = {"json": body}
    if isinstance(body, dict) and (operations := body.get("operations")) and isinstance(operations, list):
        how = {"json": body | {"operations": [patch(task["id"]), *operations]}}
        field = field.replace("operations[", "operations[+")
    elif isinstance(body, bytes):
        how = {"body": body, "headers": [("content-type", "application/json")]}
    response = await ann("POST", "/batch", **how)
    assert response.status == 400
    found = response.json()["fields"][0]["field"]
    if "[+" in field:
        before, _, place = field.partition("[+")
        number, _, after = place.partition("]")
        field = f"{before}[{int(number) + 1}]{after}"
    assert found == field
    assert response.json()["error"].startswith(field)
    assert await ann.list() == [task]


@pytest.mark.parametrize(
    ("task", "field"),
    [
        (b'{"title": 5}', "title"),
        (b'{"titel": "x"}', "titel"),
        (b'{"title": "x", "title": "y"}', "title"),
        (b'{"extra": {"a": {"b": 1, "b": 2}}}', "b"),
        (b'{"extra": {"a": [{"c": 1, "c": 2}]}}', "c"),
        (b'{"title": "\\u0000"}', "title"),
        (b'{"title": "\\ud800"}', "title"),
        (b'{"title": "x", "status": "complete", "completed": false}', "completed"),
        (b'{"title": "x", "extra": {"a": 1e400}}', "extra"),
        (b'{"title": "x", "tags": ["a", "A"]}', "tags"),
    ],
)
@pytest.mark.parametrize("op", ["put", "patch"])
async def test_what_is_wrong_inside_a_task_is_the_result_of_its_operation_alone(
    ann: Caller, op: str, task: bytes, field: str
):
    name = uid()
    operations = b'{"op": "%s", "key": "%s", "task": %s}, {"op": "put", "key": "%s", "task": {"title": "x"}}' % (
        op.encode(),
        name.encode(),
        task,
        uid().encode(),
    )
    response = await ann(
        "POST",
        "/batch",
        body=b'{"operations": [%s]}' % operations,
        headers=[("content-type", "application/json")],
    )
    assert (response.status, statuses(response)) == (207, [400, 201])
    assert response.json()["results"][0]["fields"][0]["field"] == field


async def test_a_put_without_a_member_to_set_is_the_result_of_its_operation(ann: Caller):
    response = await batch(
        ann, put(uid(), {}), put(uid(), {"status": None}), put(uid(), {"title": "x", "revision": "1"})
    )
    fields = [result["fields"][0]["field"] for result in response.json()["results"]]
    assert fields == ["body", "body", "revision"]


async def test_the_digits_of_an_id_and_the_number_name_one_task(ann: Caller):
    task = await ann.task()
    response = await batch(ann, patch(str(task["id"]), {"title": "a"}), patch(task["id"], {"title": "b"}))
    assert statuses(response) == [200, 200]
    assert (await ann.read(task))["title"] == "b"


# Around it.


async def test_headers_that_mean_something_elsewhere_are_ignored_and_parameters_are_refused(ann: Caller):
    headers = [("idempotency-key", '"'), ("if-match", "17"), ("if-none-match", "17")]
    name = uid()
    for expected in (201, 200):
        response = await ann("POST", "/batch", json={"operations": [put(name)]}, headers=headers)
        assert statuses(response) == [expected]
        assert response.header("idempotency-replayed") is None
    response = await ann("POST", "/batch?atomic=true", json={"operations": [put(name)]})
    assert (response.status, response.json()["fields"][0]["field"]) == (400, "atomic")


async def test_a_batch_of_exactly_a_mebibyte_is_done_and_one_byte_more_is_413(ann: Caller):
    body = json.dumps({"operations": [put(uid(), {"title": "x", "description": "d" * 5_000}) for _ in range(100)]})
    padded = body.encode() + b" " * (DEFAULT_BATCH_LIMIT - len(body))
    headers = [("content-type", "application/json")]
    assert statuses(await ann("POST", "/batch", body=padded, headers=headers)) == [201] * 100
    response = await ann("POST", "/batch", body=padded + b" ", headers=headers)
    assert (response.status, response.json()["code"]) == (413, "too_large")


async def test_the_largest_response_there_can_be_arrives_whole_and_its_memory_is_given_back(ann: Caller):
    task = {"title": "\U0001f600" * 255, "description": "\U0001f600" * 5_000, "extra": {"a": "e" * 4_000}}
    names = [uid() for _ in range(100)]
    for begin in range(0, 100, 10):
        assert set(statuses(await batch(ann, *(put(name, task) for name in names[begin : begin + 10])))) == {201}
    response = await batch(ann, *(patch(name, {"completed": True}) for name in names))
    assert len(response.body) > 2_400_000
    assert [result["task"]["description"] for result in response.json()["results"]] == [task["description"]] * 100


async def test_small_bodies_are_not_bounded_by_the_limit_of_batches_nor_batches_by_theirs():
    with in_memory(body_limit=2_000, batch_limit=3_000) as api:
        ann = api.user()
        assert (await batch(ann, put(uid(), {"title": "x", "description": "d" * 2_500}))).status == 200
        assert (await batch(ann, put(uid(), {"title": "x", "description": "d" * 3_500}))).status == 413
        assert (await ann("POST", "/tasks", json={"title": "x", "description": "d" * 2_500})).status == 413


async def test_each_ten_operations_begun_are_one_request_of_the_rate_limit():
    with in_memory(user_rate=Rate("12/minute", reason="user", clock=lambda: 0.0)) as api:
        ann = api.user()
        assert (await batch(ann, *(put(uid()) for _ in range(100)))).status == 200
        refused = await batch(ann, *(put(uid()) for _ in range(21)))
        assert (refused.status, refused.header("retry-after")) == (429, "60")
        assert [(await ann("GET", "/tasks?limit=1")).status for _ in range(2)] == [200, 429]


async def test_a_batch_that_the_rate_limit_refuses_counts_as_one_request_and_writes_nothing():
    with in_memory(user_rate=Rate("4/minute", reason="user", clock=lambda: 0.0)) as api:
        ann = api.user()
        assert (await ann("GET", "/tasks")).status == 200
        assert (await batch(ann, *(put(uid()) for _ in range(41)))).status == 429
        assert (await batch(ann, *(put(uid()) for _ in range(10)))).status == 200
        assert len(await ann.list()) == 10
        assert (await ann("GET", "/tasks")).status == 429


@pytest.mark.parametrize("limit", [1, 4])
async def test_a_batch_of_more_requests_than_the_limit_fits_and_takes_all_of_it(limit: int):
    with in_memory(user_rate=Rate(f"{limit}/minute", reason="user", clock=lambda: 0.0)) as api:
        ann = api.user()
        assert (await batch(ann, *(put(uid()) for _ in range(100)))).status == 200
        assert (await ann("GET", "/tasks")).status == 429


@pytest.mark.parametrize("atomic", [False, True])
async def test_a_task_that_is_not_the_callers_is_noted_as_in_a_request_of_its_own(atomic: bool):
    recorded = RecordedEvents()
    with in_memory(audit=recorded) as api:
        ann = api.user()
        await batch(ann, put(uid()), delete(10**12), patch(10**12), atomic=atomic)
        assert len(recorded.events) == (1 if atomic else 2)
        await ann("DELETE", f"/tasks/{10**12}")
        *batched, alone = recorded.events
        for event in batched:
            assert event.keys() == alone.keys()
            differ = {name for name in event if event[name] != alone[name]}
            assert differ <= {"request_id", "method", "route", "trace_id", "span_id"}
            assert (event["method"], event["route"]) == ("POST", "/api/{user_id}/batch")


class Counted(MemoryTasks):
    """A store that counts what is asked of it, and fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.fails = False

    async def snapshot(self, *how: Any, **more: Any) -> Any:
        self.asked.append("snapshot")
        return await super().snapshot(*how, **more)

    async def apply(self, *how: Any, **more: Any) -> Any:
        self.asked.append("apply")
        if self.fails:
            raise Unavailable("the database went away: look before you try again", outcome_unknown=True)
        return await super().apply(*how, **more)


async def test_a_batch_is_two_calls_of_the_store_and_one_if_it_changes_nothing():
    store = Counted()
    with in_memory(store=store) as api:
        ann, name = api.user(), uid()
        for expected in (["snapshot", "apply"], ["snapshot"]):
            await batch(ann, put(name), put(name, {"title": " "}))
            assert store.asked == expected
            store.asked.clear()


async def test_a_store_that_fails_is_503_and_says_whether_the_outcome_is_known():
    store = Counted()
    with in_memory(store=store) as api:
        store.fails = True
        response = await api.bare.request(
            "POST", "/api/me/batch", token=api.user("ann").token, json={"operations": [put(uid())]}
        )
        assert (response.status, response.json()["outcome"]) == (503, "unknown")


async def test_eight_devices_that_send_batches_at_once_all_finish(ann: Caller):
    tasks = [{"title": f"device {number}", "description": "d" * 3_000} for number in range(8)]
    responses = await asyncio.gather(*(batch(ann, *(put(uid(), task) for _ in range(100))) for task in tasks))
    assert [response.status for response in responses] == [200] * 8
    made = [result["task"] for response in responses for result in response.json()["results"]]
    assert (await ann.state())["tasks"] == sorted(made, key=lambda task: task["revision"])


async def test_the_memory_of_responses_is_free_after_batches_that_succeed_fail_and_are_refused(api_memory: Any):
    api, held = api_memory
    ann: Caller = api.user()
    await batch(ann, *(put(uid(), {"title": "x", "description": "d" * 5_000}) for _ in range(50)))
    await batch(ann, put(uid()), delete(10**12), atomic=True)
    await batch(ann, put(0))
    assert held() == 0


@pytest.fixture
def api_memory() -> Any:
    from todo_adapters.observability.metrics import Metrics

    metrics = Metrics()
    with in_memory(metrics=metrics) as api:
        yield api, lambda: metrics.response_bytes() + metrics.body_bytes()


def test_the_path_has_one_method(serve: Any):
    with serve() as api:
        response = asyncio.run(_options(api))
    assert response.header("allow") == "OPTIONS, POST"


async def _options(api: Api) -> Any:
    return await api.request("OPTIONS", "/api/me/batch")
