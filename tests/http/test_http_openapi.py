"""The OpenAPI document: valid and complete; its examples are in test_http_openapi_examples.py."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from apis import Caller, in_memory
from conformance import resolved, validate
from documented import DOCUMENT, OPERATIONS, everything, parameters
from schemathesis.specs.openapi.definitions import OPENAPI_31

from todo_adapters.auth.keys import SharedSecrets
from todo_adapters.auth.verifier import Verifier
from todo_adapters.http.application import http_application
from todo_adapters.http.live import Live
from todo_adapters.http.openapi import document, openapi_json
from todo_adapters.live import Listeners
from todo_adapters.memory import MemoryTasks
from todo_adapters.observability.metrics import Metrics
from todo_domain import Invalid, TaskService
from todo_domain.text import refuse_control_characters

BODIES = ("NewTask", "TaskPut", "TaskPatch", "Completion", "Batch", "PutOperation", "PatchOperation", "DeleteOperation")


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
        (route.path_format, method) for route in app._app._app.routes for method in route.methods if method != "OPTIONS"
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
