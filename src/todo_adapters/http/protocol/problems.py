"""The JSON objects of errors."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from todo_adapters.http.protocol.json_types import about
from todo_adapters.http.protocol.schemas import TombstoneOut
from todo_adapters.http.protocol.task_json import TaskOut


class FieldProblem(Struct):
    """The part of the request that is wrong, and its rule."""

    field: Annotated[
        str, about("The member, parameter or header; `id` for the path's task, `body` for the whole body.")
    ]
    message: Annotated[str, about("The rule; a sentence whose subject is the field.")]


Sentence = Annotated[str, about("The problem and what to do: a sentence for people.")]
Index = Annotated[int, Meta(ge=0, description="Of an atomic batch: the operation that failed, from 0.")]
RequestId = Annotated[str, about("The id of the request, also in the log.")]


class ProblemOut(Struct, omit_defaults=True, kw_only=True):
    """The shape of an error: a sentence for people, a code for programs."""

    error: Sentence
    code: Annotated[str, about("The kind of error, for programs.")]
    fields: (
        Annotated[list[FieldProblem], Meta(min_length=1, description="With 400: the first problem at least.")]
        | UnsetType
    ) = UNSET
    outcome: Annotated[Literal["unknown"], about("With 503: it is unknown whether a write was done.")] | UnsetType = (
        UNSET
    )
    index: Index | UnsetType = UNSET
    request_id: RequestId


class ExistsProblemOut(Struct, kw_only=True):
    """The error of a PUT that only creates, for a task that exists."""

    error: Sentence
    code: Annotated[Literal["exists"], about("The kind of error, for programs.")]
    current: Annotated[TaskOut, about("The task as it is now.")]
    index: Index | UnsetType = UNSET
    request_id: RequestId


class GoneProblemOut(Struct, kw_only=True):
    """The error of a write by uid to a deleted task."""

    error: Sentence
    code: Annotated[Literal["gone"], about("The kind of error, for programs.")]
    deleted: Annotated[TombstoneOut, about("The tombstone of the task.")]
    restorable: Annotated[bool, about("Whether the task is in the trash and can be restored.")]
    index: Index | UnsetType = UNSET
    request_id: RequestId


class StaleProblemOut(Struct, kw_only=True):
    """The error of a write that was based on another revision than the current one."""

    error: Sentence
    code: Annotated[Literal["stale"], about("The kind of error, for programs.")]
    current: Annotated[TaskOut, about("The task as it is now.")]
    index: Index | UnsetType = UNSET
    request_id: RequestId


class BatchProblemOut(Struct, kw_only=True, forbid_unknown_fields=True):
    """The error of an atomic batch that contradicts itself.

    The failed operation concerns a task that the same batch creates or deletes, so there is no task to return.
    """

    error: Sentence
    code: Annotated[
        str,
        Meta(description="The kind of error, for programs.", extra_json_schema={"enum": ["exists", "gone", "stale"]}),
    ]
    index: Index
    request_id: RequestId
