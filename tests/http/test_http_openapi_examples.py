"""The examples of the OpenAPI document are true: each request, sent to their account, gets its response."""

import json
from functools import cache
from itertools import chain, count
from typing import Any

import pytest
from apis import Api, Caller, in_memory
from conformance import Conforming, resolved, validate
from documented import DOCUMENT, OPERATIONS, everything, parameters

from support.clock import FakeClock
from todo_adapters.http.middleware.rate_limit import Rate
from todo_adapters.http.openapi import document
from todo_adapters.http.openapi.examples import (
    DELETED,
    GROCERIES,
    NEW_UID,
    NOW,
    OWNER,
    RENT,
    THEN,
    TRASHED,
)
from todo_adapters.memory import MemoryTasks
from todo_domain import Unavailable, feed

QUOTA = 8


class Scene:
    """The account that the examples are about, at the moment at which they are."""

    def __init__(self, api: Api, clock: FakeClock) -> None:
        self.api = api
        self.clock = clock
        self.user = api.user(OWNER)

    async def set(self) -> None:
        """Make the two tasks and the deletion in an empty store, with just these ids and revisions."""
        self.api.store.__init__()
        self.clock.now = THEN
        numbers = chain(range(1, 7), (41, RENT.id, GROCERIES.id), count(GROCERIES.id + 1))
        self.api.store._ids = numbers
        passing = [await self.user.task() for _ in range(6)]
        deleted = (await self.user("PUT", f"/tasks/{DELETED.uid}", json={"title": "x"})).json()
        for task in passing:
            await self.user("DELETE", f"/tasks/{task['id']}")
        await self.user("DELETE", "/trash")
        await self.user("PATCH", f"/tasks/{deleted['id']}", json={"title": TRASHED.task.title})
        await self.user.task(
            title=RENT.title,
            description=RENT.description,
            completed=True,
            priority="high",
            due_date="2026-12-01",
            tags=list(RENT.tags),
            position=RENT.position,
            extra=json.loads(RENT.extra),
        )
        await self.user("DELETE", f"/tasks/{deleted['id']}")
        await self.user("PUT", f"/tasks/{GROCERIES.uid}", json={"title": GROCERIES.title})
        self.clock.now = NOW


@cache
def document_of_the_scene() -> dict[str, Any]:
    return document(quota=QUOTA)


@pytest.fixture(scope="module")
def its_document():
    return json.dumps(document_of_the_scene()).encode()


@pytest.fixture(scope="module")
def shared_scene(its_document):
    clock = FakeClock(THEN)
    with in_memory(clock=clock, quota=QUOTA, openapi=its_document) as api:
        yield Scene(api, clock)


@pytest.fixture
async def scene(shared_scene):
    """The account as the examples have it; only the application, which takes longest to make, is shared."""
    await shared_scene.set()
    return shared_scene


SUCCESSES = [
    (operation, status, name)
    for operation, (_, _, described) in OPERATIONS.items()
    for status in ("200", "201", "207")
    for media_type in resolved(described["responses"].get(status, {})).get("content", {}).values()
    for name in media_type.get("examples", {})
]
REFUSALS = sorted(
    {
        (operation if "$ref" not in response else response["$ref"].rpartition("/")[2], name)
        for operation, (_, _, described) in OPERATIONS.items()
        for status, response in described["responses"].items()
        if int(status) >= 400
        for media_type in resolved(response)["content"].values()
        for name in media_type["examples"]
    }
)


KEYS = {"created": NEW_UID, "restored": DELETED.uid}
"""The key in the path of an example by its name; of the others it is the parameter's own example."""


def request_of(operation: str, name: str) -> tuple[str, str, dict[str, Any]]:
    """The request of an operation's example, as a reader of the document would send it."""
    method, path, described = OPERATIONS[operation]
    query, headers = [], []
    for parameter in parameters(described):
        value = parameter.get("examples", {}).get(name, {}).get("value")
        if parameter["in"] == "path":
            example = KEYS.get(name, parameter["example"]) if parameter["name"] == "key" else parameter["example"]
            path = path.replace(f"{{{parameter['name']}}}", str(example))
        elif value is not None and parameter["in"] == "header":
            headers.append((parameter["name"], value))
        elif value is not None:
            values = value if isinstance(value, list) else [value]
            if isinstance(value, list) and not parameter["explode"]:
                values = [",".join(value)]
            query += [f"{parameter['name']}={one}" for one in values]
    how: dict[str, Any] = {"headers": headers}
    for media_type in described.get("requestBody", {}).get("content", {}).values():
        if name in media_type["examples"]:
            how["json"] = media_type["examples"][name]["value"]
    return method, path + ("?" + "&".join(query) if query else ""), how


@pytest.mark.parametrize(("operation", "status", "name"), SUCCESSES)
async def test_a_request_example_gets_the_response_example_of_its_name(
    scene: Scene, operation: str, status: str, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(feed, "token_bytes", lambda size: bytes(range(size)))
    method, target, how = request_of(operation, name)
    response = await scene.api.request(method, target, token=scene.user.token, **how)
    assert response.status == int(status)
    described = resolved(OPERATIONS[operation][2]["responses"][status])["content"]["application/json"]
    assert response.json() == described["examples"][name]["value"]


def test_every_request_example_has_a_response_example():
    for operation, (_, _, described) in OPERATIONS.items():
        asked = {name for parameter in parameters(described) for name in parameter.get("examples", {})}
        for media_type in described.get("requestBody", {}).get("content", {}).values():
            asked |= media_type["examples"].keys()
        assert asked <= {name for at, _, name in SUCCESSES if at == operation}


def test_every_example_keeps_its_schema():
    checked = 0
    for part in (
        everything(DOCUMENT["paths"])
        + everything(DOCUMENT["components"]["responses"])
        + everything(DOCUMENT["components"]["parameters"])
    ):
        if "schema" in part:
            values = [example["value"] for example in part.get("examples", {}).values()]
            for value in [*values, *([part["example"]] if "example" in part else [])]:
                validate(value, part["schema"])
                checked += 1
    assert checked > 50


LIST, TASK = f"/api/{OWNER}/tasks", f"/api/{OWNER}/tasks/{GROCERIES.id}"
BATCH = f"/api/{OWNER}/batch"
TRASH = f"/api/{OWNER}/trash"


def atomic(*operations: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """An atomic batch."""
    return "POST", BATCH, {"json": {"atomic": True, "operations": operations}}


HOW_TO_FAIL: dict[tuple[str, str], tuple[str, str, dict[str, Any]]] = {
    ("list_tasks", "unknown_parameter"): ("GET", LIST + "?stauts=complete", {}),
    ("list_tasks", "bad_limit"): ("GET", LIST + "?limit=0", {}),
    ("list_tasks", "cursor_of_another_list"): ("GET", LIST + "?limit=1&cursor=abc", {}),
    ("create_task", "title_missing"): ("POST", LIST, {"json": {}}),
    ("create_task", "unknown_member"): ("POST", LIST, {"json": {"titel": "Call the plumber"}}),
    ("create_task", "bad_key"): ("POST", LIST, {"json": {"title": "x"}, "headers": [("idempotency-key", '""')]}),
    ("read_task", "bad_key"): ("GET", LIST + "/undefined", {}),
    ("read_task", "bad_condition"): ("GET", TASK, {"headers": [("if-none-match", "17")]}),
    ("put_task", "other_id"): ("PUT", TASK, {"json": {"id": 7, "title": "x"}}),
    ("patch_task", "wrong_type"): ("PATCH", TASK, {"json": {"completed": "true"}}),
    ("patch_task", "contradiction"): ("PATCH", TASK, {"json": {"status": "complete", "completed": False}}),
    ("delete_task", "bad_condition"): ("DELETE", TASK, {"headers": [("if-match", "17")]}),
    ("complete_task", "bad_key"): ("PATCH", LIST + "/0/complete", {}),
    ("complete_task", "contradiction"): (
        "PATCH",
        TASK + "/complete",
        {"json": {"status": "complete", "completed": False}},
    ),
    ("do_batch", "no_operations"): ("POST", BATCH, {"json": {"operations": []}}),
    ("do_batch", "bad_key"): ("POST", BATCH, {"json": {"operations": [{"op": "delete", "key": "undefined"}]}}),
    ("do_batch", "unknown_member"): (
        "POST",
        BATCH,
        {"json": {"operations": [{"op": "delete", "key": 9, "if-match": 17}]}},
    ),
    ("do_batch", "gone"): atomic({"op": "patch", "key": DELETED.uid, "task": {"title": "x"}}),
    ("do_batch", "deleted_before"): atomic(
        {"op": "delete", "key": GROCERIES.uid}, {"op": "patch", "key": GROCERIES.uid, "task": {"title": "x"}}
    ),
    ("do_batch", "stale"): atomic(
        {"op": "patch", "key": RENT.id, "task": {"title": "x"}},
        {"op": "patch", "key": GROCERIES.id, "if_match": 16, "task": {"title": "x"}},
    ),
    ("do_batch", "exists"): atomic(
        {"op": "put", "key": GROCERIES.uid, "create_only": True, "task": {"title": "x"}},
    ),
    ("do_batch", "made_before"): atomic(
        *[{"op": "put", "key": NEW_UID, "create_only": True, "task": {"title": "x"}}] * 2
    ),
    ("BatchTooLarge", "too_large"): ("POST", BATCH, {"json": "x" * 1_048_576}),
    ("list_changes", "bad_since"): ("GET", f"/api/{OWNER}/changes?since=-1", {}),
    ("list_changes", "wait_without_since"): ("GET", f"/api/{OWNER}/changes?wait=9", {}),
    ("list_trash", "unknown_parameter"): ("GET", TRASH + "?sort=title", {}),
    ("list_trash", "cursor_without_limit"): ("GET", TRASH + "?cursor=abc", {}),
    ("list_trash", "cursor_of_another_list"): ("GET", TRASH + "?limit=1&cursor=abc", {}),
    ("list_trash", "bad_condition"): ("GET", TRASH, {"headers": [("if-none-match", "17")]}),
    ("empty_trash", "unknown_parameter"): ("DELETE", TRASH + "?confirm=true", {}),
    ("restore_task", "bad_key"): ("POST", TRASH + "/undefined/restore", {}),
    ("restore_task", "unknown_member"): ("POST", TRASH + "/41/restore", {"json": {"title": "x"}}),
    ("discard_task", "bad_key"): ("DELETE", TRASH + "/0", {}),
    ("stream_events", "bad_since"): ("GET", f"/api/{OWNER}/events?since=-1", {}),
    ("export_tasks", "unknown_format"): ("GET", f"/api/{OWNER}/export?format=xml", {}),
    ("import_tasks", "not_an_export"): (
        "POST",
        f"/api/{OWNER}/import",
        {"json": {"format": "todo/2", "user_id": OWNER, "tasks": []}},
    ),
    ("import_tasks", "no_tasks"): ("POST", f"/api/{OWNER}/import", {"json": {"format": "todo/1", "user_id": OWNER}}),
    ("ImportTooLarge", "too_large"): ("POST", f"/api/{OWNER}/import", {"json": "x" * 8_388_608}),
    ("erase_user", "not_confirmed"): ("DELETE", f"/api/{OWNER}?confirm=me", {}),
    ("make_feed", "unknown_member"): ("POST", f"/api/{OWNER}/feed", {"json": {"title": "x"}}),
    ("end_feed", "unknown_parameter"): ("DELETE", f"/api/{OWNER}/feed?confirm=true", {}),
    ("read_feed", "bad_condition"): ("GET", "/feeds/x.ics", {"headers": [("if-none-match", "17")]}),
    ("NoSuchFeed", "no_such_feed"): ("GET", "/feeds/x.ics", {"token": None}),
    ("Unauthenticated", "bad_token"): ("GET", LIST, {"token": "x.y.z"}),
    ("Forbidden", "other_user"): ("GET", "/api/user_9k1/tasks", {}),
    ("NoSuchRoute", "no_such_path"): ("GET", "/docs/nothing", {}),
    ("NoSuchTask", "no_such_task"): ("GET", LIST + "/999", {}),
    ("QuotaReached", "quota"): ("POST", LIST, {"json": {"title": "one too many"}}),
    ("Resync", "resync"): ("GET", f"/api/{OWNER}/changes?since=99", {}),
    ("Stale", "stale"): ("PATCH", TASK, {"json": {"title": "x"}, "headers": [("if-match", '"16"')]}),
    ("StaleOrExists", "stale"): ("PUT", TASK, {"json": {"title": "x"}, "headers": [("if-match", '"16"')]}),
    ("StaleOrExists", "exists"): ("PUT", TASK, {"json": {"title": "x"}, "headers": [("if-none-match", "*")]}),
    ("Gone", "gone"): ("PATCH", f"{LIST}/{DELETED.uid}", {"json": {"title": "x"}}),
    ("BodyTooLarge", "too_large"): ("POST", LIST, {"json": "x" * 70_000}),
    ("NotJson", "not_json"): ("POST", LIST, {"body": b"{}", "headers": [("content-type", "text/plain")]}),
    ("NotAPatch", "not_json"): ("PATCH", TASK, {"body": b"{}", "headers": [("content-type", "text/plain")]}),
    ("KeyReused", "key_reused"): ("POST", LIST, {"json": {"title": "other"}, "headers": [("idempotency-key", "used")]}),
    ("HeadersTooLarge", "headers_too_large"): ("GET", LIST, {"headers": [("x-filler", "a" * 17_000)]}),
}


def said_about(key: tuple[str, str]) -> Any:
    component, name = key
    responses = document_of_the_scene()["components"]["responses"]
    own = OPERATIONS[component][2]["responses"].values() if component in OPERATIONS else [responses[component]]
    described = [media_type for response in own for media_type in response.get("content", {}).values()]
    return next(each["examples"][name]["value"] for each in described if name in each.get("examples", ()))


@pytest.mark.parametrize("key", HOW_TO_FAIL, ids=" ".join)
async def test_an_example_of_an_error_is_what_a_client_gets(scene: Scene, key: tuple[str, str]):
    if key[0] == "QuotaReached":
        for _ in range(QUOTA - 2):
            await scene.user.task()
    if key[0] == "KeyReused":
        await scene.user("POST", "/tasks", json={"title": "x"}, headers=[("idempotency-key", "used")])
    expected = said_about(key)
    method, target, how = HOW_TO_FAIL[key]
    headers = [*how.get("headers", []), ("x-request-id", expected["request_id"])]
    response = await scene.api.request(method, target, **{"token": scene.user.token} | how | {"headers": headers})
    assert response.json() == expected


class Failing(MemoryTasks):
    """A store whose reads raise what it is told to."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def page(self, *_, **__):
        raise self._error


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (("Internal", "internal"), KeyError("x")),
        (("Unavailable", "unavailable"), Unavailable("the database is out of reach: try again")),
        (
            ("Unavailable", "outcome_unknown"),
            Unavailable("the database went away: look before you try again", outcome_unknown=True),
        ),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
async def test_an_example_of_a_failure_is_what_a_client_gets(key: tuple[str, str], error: Exception):
    expected = said_about(key)
    with in_memory(store=Failing(error)) as api:
        api.client = Conforming(api.bare, failures=True)
        response = await api.user()("GET", "/tasks", headers=[("x-request-id", expected["request_id"])])
    assert response.json() == expected


class Erasing(MemoryTasks):
    """A store that erases the user after the first snapshot of an import."""

    async def snapshot(self, owner, keys, **how):
        found = await super().snapshot(owner, keys, **how)
        if found.horizon == 0:
            await self.erase(owner)
        return found


async def test_the_example_of_an_import_whose_user_is_erased_is_what_a_client_gets():
    expected = said_about(("import_tasks", "erased"))
    with in_memory(store=Erasing(), clock=FakeClock()) as api:
        ann: Caller = api.user()
        await ann.task()
        file = {"format": "todo/1", "user_id": "a", "tasks": [{"uid": NEW_UID, "title": "x"}]}
        response = await ann("POST", "/import", json=file, headers=[("x-request-id", expected["request_id"])])
    assert (response.status, response.json()) == (410, expected)


async def test_the_example_of_a_rate_limit_is_what_a_client_gets():
    expected = said_about(("RateLimited", "rate_limited"))
    with in_memory(user_rate=Rate("1/second", reason="user", clock=lambda: 0.0)) as api:
        ann: Caller = api.user()
        await ann("GET", "/tasks")
        response = await ann("GET", "/tasks", headers=[("x-request-id", expected["request_id"])])
    assert (response.status, response.json(), response.header("retry-after")) == (429, expected, "1")


def test_every_example_of_an_error_is_tried():
    tried = {
        *HOW_TO_FAIL,
        ("Internal", "internal"),
        ("Unavailable", "unavailable"),
        ("Unavailable", "outcome_unknown"),
        ("RateLimited", "rate_limited"),
        ("import_tasks", "erased"),
    }
    assert set(REFUSALS) == tried
