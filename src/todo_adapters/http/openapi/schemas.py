"""The schemas: what msgspec says of the structs, and the few rules that a struct cannot say."""

from __future__ import annotations

import re
from typing import Any, Final, get_args

import msgspec

from todo_adapters.http.protocol.batches import Batch, BatchResults, DeleteOperation, PatchOperation, PutOperation
from todo_adapters.http.protocol.errors import ERRORS
from todo_adapters.http.protocol.member_types import PRIORITY_NAMES
from todo_adapters.http.protocol.problems import (
    BatchProblemOut,
    ExistsProblemOut,
    GoneProblemOut,
    ProblemOut,
    StaleProblemOut,
)
from todo_adapters.http.protocol.schemas import (
    ABSENT_IF_NULL,
    ChangesOut,
    Completion,
    Health,
    NewTask,
    Settable,
    TaskOut,
    TaskPatch,
    TaskPut,
)
from todo_adapters.http.protocol.trash_schemas import ExportOut, Nothing, TrashedOut
from todo_domain import Exists, Gone, Stale, Status

_PROBLEMS: Final = (ProblemOut, StaleProblemOut, ExistsProblemOut, GoneProblemOut, BatchProblemOut)
_OPERATIONS: Final = (PutOperation, PatchOperation, DeleteOperation)
_BODIES: Final = (NewTask, TaskPut, TaskPatch, Completion, Nothing, Batch, *_OPERATIONS)
_STRUCTS: Final = (TaskOut, TrashedOut, ChangesOut, BatchResults, ExportOut, *_BODIES, *_PROBLEMS, Health)

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
    "not": {
        "not": {
            "anyOf": [
                {"required": [name], "properties": {name: {"not": {"type": "null"}} if name in ABSENT_IF_NULL else {}}}
                for name in Settable.__struct_fields__
            ]
        }
    }
}
"""Null for one of the twins is as if it were not there.

`not: not:` changes nothing for a validator. Generators of clients make a union of an `anyOf`, here of types that they
do not know (`unknown`, `Any`), and ignore a `not`.
"""

_ENUMS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "Status": (get_args(Status), "Whether it is done."),
    "Priority": (PRIORITY_NAMES, "How urgent it is, from the least to the most."),
}
"""The enums that have a name, with their values in order; msgspec sorts the values, and names none."""


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each JSON object that travels, by name."""
    _, found = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    codes = dict.fromkeys(error.code for error in ERRORS if error not in {Stale, Exists, Gone})
    found["ProblemOut"]["properties"]["code"]["enum"] = list(codes)
    found["TaskPut"].update(_SOMETHING_TO_SET)
    for name in ("NewTask", "TaskPatch", "Completion"):
        found[name].update(_TWINS_AGREE)
    for operation in _OPERATIONS:
        found[operation.__name__]["properties"]["op"]["description"] = "Which operation it is."
    found["PutOperation"]["properties"]["task"] = reference("TaskPut")
    found["PatchOperation"]["properties"]["task"] = reference("TaskPatch")
    # The reader of the document need not know which structs are for the way out.
    plain = re.sub(rb'(?<=["/])(\w+)Out"', rb'\1"', msgspec.json.encode(found))
    renamed = {name: _for_generators(schema) for name, schema in msgspec.json.decode(plain).items()}
    for name, (values, description) in _ENUMS.items():
        renamed[name] = {"title": name, "description": description, "type": "string", "enum": list(values)}
    return renamed


def reference(name: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str) -> dict[str, Any]:
    """Return the schema of an array of these."""
    return {"type": "array", "items": reference(name)}


def _for_generators(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the same schema in the form of which generators make the best types.

    A named enum is a reference, an enum of one value a `const`, a nullable simple type one `type` of two names, and
    each enum says its type, because not every reader infers it.
    """
    schema = {name: _inside(part) for name, part in schema.items()}
    match schema:
        case {"enum": [value]}:
            return {**_without(schema, "enum"), "type": "string", "const": value}
        case {"enum": [*values]}:
            named = [name for name, (ordered, _) in _ENUMS.items() if sorted(ordered) == sorted(values)]
            return reference(named[0]) if named else {**schema, "type": "string"}
        case {"anyOf": [{"type": str(kind)} as simple, {"type": "null"}]}:
            return {**_without(schema, "anyOf"), **simple, "type": [kind, "null"]}
    return schema


def _inside(part: object) -> object:
    if isinstance(part, list):
        return [_inside(each) for each in part]
    return _for_generators(part) if isinstance(part, dict) else part


def _without(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return {own: part for own, part in schema.items() if own != name}
