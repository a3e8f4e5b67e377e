"""The tables of docs/api.md name what there is: routes, members, parameters, orders, statuses and codes."""

import json
import re
from pathlib import Path

from todo_adapters.http.openapi import openapi_json
from todo_adapters.http.protocol import errors
from todo_adapters.http.protocol.task_json import Settable, TaskOut
from todo_domain import TodoError
from todo_domain.query import SORT_FIELDS

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
OPERATIONS = json.loads(openapi_json())["paths"]


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def codes(kind=TodoError):
    """The codes of every error that a client can get."""
    own = {kind.code} if hasattr(kind, "code") else set()
    return own.union(*(codes(below) for below in kind.__subclasses__()))


def test_every_operation_is_in_the_table():
    shown = set(re.findall(r"^\| `([A-Z]+) ((?:/[^`?]*)?)", section("Before you start"), re.MULTILINE))
    served = {
        (method.upper(), path.removeprefix("/api/{user_id}"))
        for path, operations in OPERATIONS.items()
        for method in operations
        if path.startswith("/api/") and method in {"get", "post", "put", "patch", "delete"}
    }
    assert shown == served


def test_every_path_without_a_token_is_in_the_table():
    shown = set(re.findall(r"`GET (/[^`]*)`", section("Beside the tasks")))
    assert shown == {path for path in OPERATIONS if not path.startswith(("/api/", "/docs/"))}


def test_every_member_is_in_the_table_with_whether_a_client_may_set_it():
    rows = re.findall(r"^\| ([^|]*`\w+`[^|]*) \| (yes|no) \|", section("A task"), re.MULTILINE)
    shown = {name: settable == "yes" for names, settable in rows for name in re.findall(r"`(\w+)`", names)}
    assert shown == {name: name in Settable.__struct_fields__ for name in TaskOut.__struct_fields__}


def test_every_parameter_of_lists_is_named():
    given = OPERATIONS["/api/{user_id}/tasks"]["get"]["parameters"]
    names = {each["name"] for each in given if each.get("in") == "query"}
    assert {name for name in names if f"`{name}`" not in section("Lists")} == {"cursor"}  # opaque: it comes in a link
    assert all(f"`{field}`" in section("Lists") for field in SORT_FIELDS)


def test_every_code_is_in_the_table_with_its_status():
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", section("Errors"), re.MULTILINE)
    assert {code for _, code in rows} == codes()
    assert set(rows) == {(str(said.status), error.code) for error, said in errors.ERRORS.items()}
