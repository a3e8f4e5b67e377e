"""The JSON objects of errors."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from todo_adapters.http.protocol.member_types import about
from todo_adapters.http.protocol.schemas import TaskOut, TombstoneOut


class FieldProblem(Struct):
    """Where in the request the problem is."""

    field: Annotated[
        str, about("The member, parameter or header; `id` for the path's task, `body` for the whole body.")
    ]
    message: Annotated[str, about("What the rule is; a sentence whose subject is the field.")]


Sentence = Annotated[str, about("What was wrong and what to do: a sentence for people.")]
Index = Annotated[int, Meta(ge=0, description="Of an atomic batch: the operation that failed, from 0.")]
RequestId = Annotated[str, about("The id of the request, in the log too.")]


class ProblemOut(Struct, omit_defaults=True, kw_only=True):
    """The shape of an error: a sentence for people, a code for programs."""

    error: Sentence
    code: Annotated[str, about("What was wrong, for programs.")]
    fields: (
        Annotated[list[FieldProblem], Meta(min_length=1, description="With 400: the first problem at least.")]
        | UnsetType
    ) = UNSET
    outcome: Annotated[Literal["unknown"], about("With 503: whether a write was done is not known.")] | UnsetType = (
        UNSET
    )
    index: Index | UnsetType = UNSET
    request_id: RequestId


class ExistsProblemOut(Struct, kw_only=True):
    """The error of a PUT that was to create a task which is there already."""

    error: Sentence
    code: Annotated[Literal["exists"], about("What was wrong, for programs.")]
    current: Annotated[TaskOut, about("The task as it is now.")]
    index: Index | UnsetType = UNSET
    request_id: RequestId


class GoneProblemOut(Struct, kw_only=True):
    """The error of a write to a task that was deleted, under its uid."""

    error: Sentence
    code: Annotated[Literal["gone"], about("What was wrong, for programs.")]
    deleted: Annotated[TombstoneOut, about("What is left of the task.")]
    restorable: Annotated[bool, about("Whether the task lies in the trash, from where it can be restored.")]
    index: Index | UnsetType = UNSET
    request_id: RequestId


class StaleProblemOut(Struct, kw_only=True):
    """The error of a write that was made from another revision of the task than the current one."""

    error: Sentence
    code: Annotated[Literal["stale"], about("What was wrong, for programs.")]
    current: Annotated[TaskOut, about("The task as it is now.")]
    index: Index | UnsetType = UNSET
    request_id: RequestId


class BatchProblemOut(Struct, kw_only=True, forbid_unknown_fields=True):
    """The error of an atomic batch that contradicts itself.

    The operation that failed was about a task that the same batch makes or deletes, so there is no task to show.
    """

    error: Sentence
    code: Annotated[
        str, Meta(description="What was wrong, for programs.", extra_json_schema={"enum": ["exists", "gone", "stale"]})
    ]
    index: Index
    request_id: RequestId
