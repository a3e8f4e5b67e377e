"""The OpenAPI document: valid, complete, and true, examples included."""

import json
import re
from collections import Counter
from functools import cache
from itertools import chain, count
from typing import Any

import jsonschema_rs
import pytest
from apis import Api, Caller, in_memory
from conformance import Conforming, resolved, validate
from schemathesis.specs.openapi.definitions import OPENAPI_31

from support.clock import FakeClock
from todo_adapters.auth.keys import SharedSecrets
from todo_adapters.auth.verifier import Verifier
from todo_adapters.http.application import http_application
from todo_adapters.http.live import Live
from todo_adapters.http.middleware.rate_limit import Rate
from todo_adapters.http.openapi import document, openapi_json
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
from todo_adapters.live import Listeners
from todo_adapters.memory import MemoryTasks
from todo_adapters.observability.metrics import Metrics
from todo_domain import Invalid, TaskService, Unavailable, feed
from todo_domain.text import refuse_control_characters

DOCUMENT: dict[str, Any] = json.loads(openapi_json())
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
BODIES = ("NewTask", "TaskPut", "TaskPatch", "Completion", "Batch", "PutOperation", "PatchOperation", "DeleteOperation")
QUOTA = 8


def parameters(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [resolved(parameter) for parameter in operation["parameters"]]


def everything(part: Any) -> list[dict[str, Any]]:
    """Every object in the document, however deep."""
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [*([part] if isinstance(part, dict) else []), *chain.from_iterable(map(everything, parts))]


# Valid.


def test_it_is_valid_openapi_3_1():
    assert DOCUMENT["openapi"].startswith("3.1.")
    jsonschema_rs.validator_for(OPENAPI_31).validate(DOCUMENT)


def test_every_schema_is_a_json_schema():
    assert DOCUMENT["components"]["schemas"]
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"})
    for header in DOCUMENT["components"]["headers"].values():
        assert header["schema"]
        jsonschema_rs.meta.validate(header["schema"])


def test_every_reference_leads_somewhere_and_every_component_is_used():
    used = {part["$ref"] for part in everything(DOCUMENT) if "$ref" in part}
    there = {f"#/components/{kind}/{name}" for kind, parts in DOCUMENT["components"].items() for name in parts}
    assert used <= there
    assert there - used == {"#/components/securitySchemes/bearer"}


def test_operations_have_names_of_their_own_summaries_and_their_paths_parameters():
    assert max(Counter(operation["operationId"] for _, _, operation in OPERATIONS.values()).values()) == 1
    assert len(OPERATIONS) == sum(len(methods) for methods in DOCUMENT["paths"].values())
    for _, path, operation in OPERATIONS.values():
        assert operation["summary"]
        in_path = {parameter["name"] for parameter in parameters(operation) if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))


# Complete.


def test_what_is_documented_is_what_is_routed():
    store = MemoryTasks()
    service = TaskService(store)
    app = http_application(
        service=service,
        live=Live(Listeners(), service, Metrics()),
        store=store,
        verifier=Verifier(SharedSecrets([b"x" * 32])),
        audit=None,
        openapi=b"{}",
    )
    routed = {
        (route.path_format, method.lower())
        for route in app._app._app.routes
        for method in route.methods
        if method != "OPTIONS"
    }
    # The router has whole segments alone: what follows the token is looked at by the handler.
    documented = {(path.removesuffix(".ics"), method) for method, path, _ in OPERATIONS.values()}
    assert documented == routed


async def test_the_service_serves_it_and_can_hide_it():
    with in_memory() as api:
        assert (await api.request("GET", "/openapi.json")).body == openapi_json()
    assert DOCUMENT["paths"].keys() - json.loads(openapi_json(erase=False))["paths"].keys() == {"/api/{user_id}"}
    feeds = {"/api/{user_id}/feed", "/feeds/{token}.ics"}
    assert DOCUMENT["paths"].keys() - json.loads(openapi_json(feeds=False))["paths"].keys() == feeds
    with in_memory(openapi=None) as api:
        assert (await api.bare.request("GET", "/openapi.json")).status == 404


STATUSES = {
    "list_tasks": "200 304 400",
    "create_task": "201 400 409 413 415 422",
    "read_task": "200 304 400 404",
    "put_task": "200 201 400 404 409 410 412 413 415 422",
    "patch_task": "200 400 404 410 412 413 415 422",
    "delete_task": "204 400 404 412 422",
    "complete_task": "200 400 404 410 412 413 415 422",
    "do_batch": "200 207 400 404 409 410 412 413 415",
    "list_changes": "200 400 410",
    "list_trash": "200 400",
    "empty_trash": "204 400",
    "restore_task": "200 400 404 409 413 415",
    "discard_task": "204 400 404",
    "stream_events": "200 400",
    "export_tasks": "200 400",
    "import_tasks": "200 400 410 413 415",
    "erase_user": "204 400",
    "make_feed": "201 400 413 415",
    "end_feed": "204 400",
    "read_feed": "200 304 400 404 429 503",
    "ready": "200 503",
    "front": "307",
    "docs_file": "200 404",
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_status_that_an_operation_gives_is_documented_and_no_other(operation: str):
    common = "401 403 429 431 500 503" if OPERATIONS[operation][1].startswith("/api/") else "431 500"
    own = STATUSES.get(operation, "200")
    assert set(OPERATIONS[operation][2]["responses"]) == {*own.split(), *common.split()}


def test_below_api_a_token_is_needed_and_nowhere_else():
    assert DOCUMENT["security"] == [{"bearer": []}]
    scheme = DOCUMENT["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    for _, path, operation in OPERATIONS.values():
        assert operation.get("security", "inherited") == ("inherited" if path.startswith("/api/") else [])


def test_every_response_documents_the_headers_that_all_have_each_with_a_schema():
    for _, _, operation in OPERATIONS.values():
        for status, response in operation["responses"].items():
            headers = {name: resolved(header) for name, header in resolved(response)["headers"].items()}
            assert {"X-Request-ID", "Cache-Control", "X-Content-Type-Options"} <= headers.keys()
            assert all(header["schema"] for header in headers.values())
            assert ("Retry-After" in headers) == (status in {"429", "503"})
            assert ("WWW-Authenticate" in headers) == (status == "401")


@pytest.mark.parametrize("name", BODIES)
def test_request_bodies_take_no_unknown_member(name: str):
    assert DOCUMENT["components"]["schemas"][name]["additionalProperties"] is False


def test_limits_are_those_of_the_code_list_items_included():
    for name in ("Task", "NewTask", "TaskPut", "TaskPatch"):
        members = DOCUMENT["components"]["schemas"][name]["properties"]
        assert (members["title"]["minLength"], members["title"]["maxLength"]) == (1, 255)
        assert members["description"]["maxLength"] == 5_000
        tags = members["tags"]
        assert (tags["maxItems"], tags["uniqueItems"]) == (20, True)
        assert (tags["items"]["minLength"], tags["items"]["maxLength"]) == (1, 50)
    id_schema = next(parameter for parameter in parameters(OPERATIONS["read_task"][2]) if parameter["name"] == "key")[
        "schema"
    ]["anyOf"][0]
    assert (id_schema["minimum"], id_schema["maximum"]) == (1, 2**53 - 1)
    for operation in ("list_tasks", "list_changes"):
        limit = next(one for one in parameters(OPERATIONS[operation][2]) if one["name"] == "limit")["schema"]
        assert (limit["minimum"], limit["maximum"]) == (1, 1_000)
    small = json.dumps(document(body_limit=123, quota=7))
    assert "123 bytes" in small
    assert "you have 7 tasks" in small


FITTING = {
    "NewTask": [
        ({"title": "x"}, True),
        ({"title": "x", "description": None, "due_date": None}, True),
        ({"title": "x", "status": "complete", "completed": True}, True),
        ({"title": "x", "status": "complete", "completed": False}, False),
        ({"title": "x", "status": "incomplete", "completed": True}, False),
        ({}, False),
        ({"title": None}, False),
        ({"title": ""}, False),
        ({"title": "x" * 256}, False),
        ({"title": "x", "id": 1}, False),
        ({"title": "x", "id": None, "revision": None, "created_at": None}, True),
        ({"title": "x", "tags": None, "priority": None, "status": None, "completed": None}, True),
        ({"title": "x", "tags": ["a", "a"]}, False),
        ({"title": "x", "tags": ["a" * 51]}, False),
        ({"title": "x", "priority": "urgent"}, False),
        ({"title": "x", "due_date": "2026-02-30"}, False),
        ({"title": "x", "position": "a0", "extra": {"a": [1, {"b": None}]}}, True),
        ({"title": "x", "position": None, "extra": None}, True),
        ({"title": "x", "position": "a-0"}, False),
        ({"title": "x", "position": ""}, False),
        ({"title": "x", "extra": []}, False),
        ({"title": "x", "extra": "{}"}, False),
        ({"title": "x\x00"}, False),
        ([], False),
    ],
    "TaskPut": [
        ({"title": "x"}, True),
        ({"title": "x", "completed_at": [1]}, True),
        ({"tags": None}, True),
        ({"extra": None}, True),
        ({"position": None}, True),
        ({"status": None}, False),
        ({"status": None, "completed": True}, True),
        ({}, False),
        ({"revision": 1}, False),
    ],
    "TaskPatch": [
        ({}, True),
        ({"description": None, "tags": None, "priority": None}, True),
        ({"extra": {"a": None}, "position": "Zz"}, True),
        ({"extra": 5}, False),
        ({"status": None}, False),
        ({"status": "done"}, False),
        ({"revision": 1}, False),
        ({"revision": None, "uid": None, "user_id": None}, True),
    ],
}


@pytest.mark.parametrize("name", FITTING)
async def test_a_body_fits_its_schema_if_and_only_if_the_service_takes_it(ann: Caller, name: str):
    method = {"NewTask": "POST", "TaskPut": "PUT", "TaskPatch": "PATCH"}[name]
    for body, fits in FITTING[name]:
        task = await ann.task()
        response = await ann(method, "/tasks" if method == "POST" else f"/tasks/{task['id']}", json=body)
        assert response.status == ((201 if method == "POST" else 200) if fits else 400), body
        try:
            validate(body, DOCUMENT["components"]["schemas"][name])
        except AssertionError:
            assert not fits, body
        else:
            assert fits, body


def test_structs_tell_what_they_are():
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert schema["title"] == name
        assert schema["description"]


def test_the_pattern_of_text_refuses_what_the_domain_refuses():
    pattern = re.compile(DOCUMENT["components"]["schemas"]["NewTask"]["properties"]["title"]["pattern"])
    for code in range(0x300):
        try:
            refuse_control_characters("title", chr(code))
        except Invalid:
            assert not pattern.search(chr(code))
        else:
            assert pattern.search(chr(code))


def test_every_parameter_that_the_list_reads_is_documented():
    from todo_adapters.http.protocol.parameters import CHANGES_PARAMETERS, LIST_PARAMETERS

    for operation, known in (("list_tasks", LIST_PARAMETERS), ("list_changes", CHANGES_PARAMETERS)):
        said = {parameter["name"] for parameter in parameters(OPERATIONS[operation][2]) if parameter["in"] == "query"}
        assert said == known


# For generators of clients: each of these decides what type or name a generated client has.


SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
NAMED_ENUMS = {"Status": ["incomplete", "complete"], "Priority": ["none", "low", "medium", "high"]}


def test_operations_keep_their_names():
    assert OPERATIONS.keys() >= {
        *("list_tasks", "create_task", "read_task", "put_task", "patch_task", "delete_task", "complete_task"),
        *(
            "list_changes",
            "do_batch",
            "stream_events",
            "export_tasks",
            "import_tasks",
            "erase_user",
            "make_feed",
            "end_feed",
            "read_feed",
            "live",
            "ready",
            "metrics",
            "contract",
            "front",
            "docs",
            "docs_file",
        ),
    }


def test_the_server_is_where_the_document_comes_from():
    assert [server["url"] for server in DOCUMENT["servers"]] == ["."]


@pytest.mark.parametrize("name", NAMED_ENUMS)
def test_status_and_priority_are_named_once_with_their_values_in_order(name: str):
    assert SCHEMAS[name]["enum"] == NAMED_ENUMS[name]
    alike = [part for part in everything(DOCUMENT) if sorted(part.get("enum", [])) == sorted(NAMED_ENUMS[name])]
    assert alike == [SCHEMAS[name]]
    uses = [part for part in everything(DOCUMENT) if part.get("$ref") == f"#/components/schemas/{name}"]
    assert len(uses) >= 5  # Task, the bodies, the parameter of the list


def test_a_nullable_simple_type_is_one_type_of_two_names():
    for part in everything(DOCUMENT):
        for choice in part.get("anyOf", ()):
            assert choice != {"type": "null"} or all("$ref" in other for other in part["anyOf"] if other != choice)
    assert SCHEMAS["Task"]["properties"]["description"]["type"] == ["string", "null"]
    assert SCHEMAS["NewTask"]["properties"]["tags"]["type"] == ["array", "null"]


def test_a_body_is_one_object_and_no_union_of_unknown_types():
    for name in BODIES:
        assert SCHEMAS[name]["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf"} & SCHEMAS[name].keys()


def test_errors_are_problems_and_412_carries_the_task_by_its_type():
    assert "Error" not in SCHEMAS  # would shadow the class of this name in JavaScript
    assert SCHEMAS["StaleProblem"]["properties"]["code"]["const"] == "stale"
    assert "current" in SCHEMAS["StaleProblem"]["required"]
    assert "stale" not in SCHEMAS["Problem"]["properties"]["code"]["enum"]  # so that the code tells the two apart
    assert "current" not in SCHEMAS["Problem"]["properties"]
    for name, code, member in (("ExistsProblem", "exists", "current"), ("GoneProblem", "gone", "deleted")):
        assert SCHEMAS[name]["properties"]["code"]["const"] == code
        assert member in SCHEMAS[name]["required"]
        assert code not in SCHEMAS["Problem"]["properties"]["code"]["enum"]
    for _, _, operation in OPERATIONS.values():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                schema = resolved(response)["content"]["application/json"]["schema"]
                named = {each["$ref"].rpartition("/")[2] for each in schema.get("oneOf", [schema])}
                if operation["operationId"] == "do_batch" and status in {"410", "412"}:
                    assert "BatchProblem" in named  # what the batch itself makes and deletes is not shown
                elif status == "412":
                    assert named in ({"StaleProblem"}, {"StaleProblem", "ExistsProblem"})
                else:
                    assert named in ({"Problem"}, {"GoneProblem"} if status == "410" else {"Problem"})


def test_every_member_and_every_parameter_has_a_description():
    def described(part: dict[str, Any]) -> bool:
        references = [part, *part.get("anyOf", ())]
        return "description" in part or any("description" in resolved(each) for each in references)

    missing = [
        f"{name}.{member}"
        for name, schema in SCHEMAS.items()
        for member, part in schema.get("properties", {}).items()
        if not described(part)
    ]
    missing += [
        one["name"] for _, _, described_ in OPERATIONS.values() for one in parameters(described_) if not described(one)
    ]
    assert not missing


NARROW = {"failed", "index", "status", "created", "updated", "unchanged", "skipped_count"}
"""Numbers of 32 bits."""


def test_every_number_that_needs_64_bits_says_so():
    wide = {
        member
        for schema in SCHEMAS.values()
        for member, part in schema.get("properties", {}).items()
        if "integer" in part.get("type", ()) and member not in NARROW
    }
    assert wide == {"id", "revision", "if_match"}
    for part in everything(DOCUMENT):
        if part.get("maximum", 0) >= 2**31:
            assert part["format"] == "int64"
    for schema in SCHEMAS.values():
        for member in wide & schema.get("properties", {}).keys():
            part = schema["properties"][member]
            assert part.get("format") == "int64" or part["not"] == {"not": {"type": "null"}}


# True: the examples, sent where they play.


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
    return method.upper(), path + ("?" + "&".join(query) if query else ""), how


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
