"""The schemas: what msgspec says of the structs, and the few rules that a struct cannot say."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from todo_adapters.http.protocol.errors import STATUS, TooLarge
from todo_adapters.http.protocol.schemas import (
    ABSENT_IF_NULL,
    ChangesOut,
    Completion,
    ErrorOut,
    Health,
    NewTask,
    Settable,
    TaskOut,
    TaskPatch,
    TaskPut,
)

_STRUCTS: Final = (TaskOut, ChangesOut, NewTask, TaskPut, TaskPatch, Completion, ErrorOut, Health)

_TWINS_AGREE: Final = {
    "not": {
        "anyOf": [
            {
                "required": ["status", "completed"],
                "properties": {"status": {"const": status}, "completed": {"const": completed}},
            }
            for status, completed in (("complete", False), ("incomplete", True))
        ]
    }
}
"""`status` and `completed` are one fact in two spellings; a PUT alone may let them differ."""

_SOMETHING_TO_SET: Final = {
    "anyOf": [
        {"required": [name], "properties": {name: {"not": {"type": "null"}}}}
        if name in ABSENT_IF_NULL
        else {"required": [name]}
        for name in Settable.__struct_fields__
    ]
}
"""Null for one of the twins is as if it were not there."""


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each JSON object that travels, by name."""
    _, found = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    found["ErrorOut"]["properties"]["code"]["enum"] = sorted({*STATUS, TooLarge.code})
    found["TaskPut"].update(_SOMETHING_TO_SET)
    for name in ("NewTask", "TaskPatch", "Completion"):
        found[name].update(_TWINS_AGREE)
    # The reader of the document need not know which structs are for the way out.
    plain = re.sub(rb'(?<=["/])(\w+)Out"', rb'\1"', msgspec.json.encode(found))
    renamed: dict[str, dict[str, Any]] = msgspec.json.decode(plain)
    _give_types(renamed)
    return renamed


def reference(name: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str) -> dict[str, Any]:
    """Return the schema of an array of these."""
    return {"type": "array", "items": reference(name)}


def _give_types(schema: object) -> None:
    """Say beside each enum of strings that it is one: not every reader infers it."""
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for part in parts:
        _give_types(part)
    if isinstance(schema, dict) and isinstance(schema.get("enum"), list):
        schema["type"] = "string"
