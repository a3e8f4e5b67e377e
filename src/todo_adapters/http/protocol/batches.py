"""Batches: strict parsing of the body, and the JSON of the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from todo_adapters.http.protocol.body import document_of, shaped
from todo_adapters.http.protocol.doubled import MARKING_DOUBLED, require_single, require_single_below
from todo_adapters.http.protocol.errors import rule_of
from todo_adapters.http.protocol.json_types import KEY_FORM, about, number_meta
from todo_adapters.http.protocol.parameters import key_of
from todo_adapters.http.protocol.problems import FieldProblem, Sentence
from todo_adapters.http.protocol.schemas import TaskPatch, TaskPut, TombstoneOut, members, put_of
from todo_adapters.http.protocol.task_json import TaskOut, task_out
from todo_domain import DeleteTask, Done, Invalid, Key, Operation, PatchTask, PutTask, Refused
from todo_domain.operations import MOST_OPERATIONS, Result

_NAMES: Final = {"put": "PutOperation", "patch": "PatchOperation", "delete": "DeleteOperation"}
_OPERATION: Final = {
    "oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in _NAMES.values()],
    "discriminator": {
        "propertyName": "op",
        "mapping": {op: f"#/components/schemas/{name}" for op, name in _NAMES.items()},
    },
}

_Key = (
    Annotated[int, number_meta("The task's id.")]
    | Annotated[str, Meta(description="The task's uid, or its id in digits.", extra_json_schema=KEY_FORM)]
)
_IfMatch = Annotated[int, number_meta("Do it only if the task is at this revision; else 412 `stale`.")]


class Batch(Struct, forbid_unknown_fields=True):
    """The body of a batch."""

    operations: Annotated[
        list[Any],
        Meta(
            min_length=1,
            max_length=MOST_OPERATIONS,
            description="Done in order; a later operation sees the effect of an earlier one.",
            extra_json_schema={"items": _OPERATION},
        ),
    ]
    atomic: Annotated[bool, about("Whether the first failure undoes the batch and answers the whole request.")] = False


class PutOperation(Struct, tag_field="op", tag="put", forbid_unknown_fields=True):
    """The operation of a `PUT` of the task."""

    key: _Key
    task: dict[str, Any]
    if_match: _IfMatch | UnsetType = UNSET
    create_only: Annotated[bool, about("Only create: 412 `exists` if the task exists.")] = False


class PatchOperation(Struct, tag_field="op", tag="patch", forbid_unknown_fields=True):
    """The operation of a `PATCH` of the task."""

    key: _Key
    task: dict[str, Any]
    if_match: _IfMatch | UnsetType = UNSET


class DeleteOperation(Struct, tag_field="op", tag="delete", forbid_unknown_fields=True):
    """The operation of a `DELETE` of the task."""

    key: _Key
    if_match: _IfMatch | UnsetType = UNSET


_SHAPES: Final[dict[object, type[PutOperation | PatchOperation | DeleteOperation]]] = {
    "put": PutOperation,
    "patch": PatchOperation,
    "delete": DeleteOperation,
}
_EXPECTED: Final = {
    "operations": f"must be an array of 1 to {MOST_OPERATIONS} operations",
    "atomic": "must be true or false",
    "key": "must be an id or a uid",
    "task": "must be a JSON object",
    "if_match": "must be one revision, an integer",
    "create_only": "must be true or false",
}


class BatchRequest(NamedTuple):
    """The operations of a body, and whether all of them or none are done."""

    operations: list[Operation]
    atomic: bool


class OperationResult(Struct, omit_defaults=True, kw_only=True):
    """The result of one operation: its status, and the members that the response to its single request would have."""

    status: Annotated[int, about("The status of the response to its single request.")]
    task: Annotated[TaskOut, about("With 200 and 201: the task as it was after this operation.")] | UnsetType = UNSET
    code: Annotated[str, about("If it failed: the kind of error, for programs.")] | UnsetType = UNSET
    error: Sentence | UnsetType = UNSET
    fields: Annotated[list[FieldProblem], about("With 400.")] | UnsetType = UNSET
    current: Annotated[TaskOut, about("With 412: the task as it was then.")] | UnsetType = UNSET
    deleted: Annotated[TombstoneOut, about("With `gone`: the tombstone of the task.")] | UnsetType = UNSET
    restorable: Annotated[bool, about("With `gone`: whether the task can be restored.")] | UnsetType = UNSET


class BatchResults(Struct):
    """The results of a batch, in the order of its operations."""

    failed: Annotated[int, Meta(ge=0, le=MOST_OPERATIONS, description="How many operations failed.")]
    results: Annotated[list[OperationResult], about("The result of each operation, in their order.")]


def parse_batch(raw: bytes) -> BatchRequest:
    """Return the batch in a body.

    Raises Invalid if the operations cannot be distinguished. An error inside a `task` refuses only that operation.
    """
    document = document_of(raw, MARKING_DOUBLED)
    require_single(document)
    batch = shaped(document, Batch, _EXPECTED)
    return BatchRequest([_operation(index, given) for index, given in enumerate(batch.operations)], batch.atomic)


def batch_results(results: Sequence[Result]) -> BatchResults:
    """Return the results in the form of the response."""
    failed = sum(not isinstance(result, Done) for result in results)
    return BatchResults(failed, [_result(result) for result in results])


def _operation(index: int, given: object) -> Operation:
    """Return the operation, or raise Invalid with a field that includes the index."""
    where = f"operations[{index}]"
    if not isinstance(given, dict):
        raise Invalid(where, "must be a JSON object")
    try:
        require_single(given)
        operation = shaped(
            {name: value for name, value in given.items() if name != "op"}, _shape(given.get("op")), _EXPECTED
        )
        key = key_of("key", operation.key)
    except Invalid as error:
        raise Invalid(f"{where}.{error.field}", error.message) from None
    return _read(key, operation, given.get("task"))


def _read(key: Key, operation: PutOperation | PatchOperation | DeleteOperation, task: object) -> Operation:
    """Return the operation, or a refused one if its task is not a valid body of the single request."""
    if_match = None if operation.if_match is UNSET else (operation.if_match,)
    try:
        require_single_below(task)
        match operation:
            case PutOperation():
                put = put_of(shaped(operation.task, TaskPut))
                create_only = operation.create_only
                return PutTask(
                    key, put._replace(if_match=if_match, conditional=if_match is not None, create_only=create_only)
                )
            case PatchOperation():
                return PatchTask(key, members(shaped(operation.task, TaskPatch)), if_match)
            case DeleteOperation():
                return DeleteTask(key, if_match)
    except Invalid as error:
        return Refused(key, error)


def _shape(op: object) -> type[PutOperation | PatchOperation | DeleteOperation]:
    shape = _SHAPES.get(op) if isinstance(op, str) else None
    if shape is None:
        raise Invalid("op", "must be put, patch or delete")
    return shape


def _result(result: Result) -> OperationResult:
    if isinstance(result, Done):
        if result.task is None:
            return OperationResult(status=204)
        return OperationResult(status=201 if result.created else 200, task=task_out(result.task))
    rule = rule_of(type(result))
    body = rule.body(result, "")
    names = (name for name in OperationResult.__struct_fields__ if name in body.__struct_fields__)
    return OperationResult(status=rule.status, **{name: getattr(body, name) for name in names})
