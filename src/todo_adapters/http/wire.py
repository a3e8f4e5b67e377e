"""What travels: one struct for each JSON object of the contract, and the only mapping from a task to its JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from todo_domain import Changes, Members, Priority, Status, Task, Tombstone
from todo_domain.task import LONGEST_DESCRIPTION, LONGEST_TAG, LONGEST_TITLE, MOST_TAGS

PriorityName = Literal["none", "low", "medium", "high"]
PRIORITY_NAMES: tuple[PriorityName, ...] = ("none", "low", "medium", "high")
"""By the number of the priority."""

_TITLE = {"maxLength": LONGEST_TITLE, "minLength": 1, "description": "Trimmed; at least one visible character."}
_TAG = {"maxLength": LONGEST_TAG, "minLength": 1, "description": "Trimmed; at least one visible character."}
_INSTANT = {"format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"}

Instant = Annotated[str, Meta(extra_json_schema=_INSTANT)]
Title = Annotated[str, Meta(extra_json_schema=_TITLE)]
Description = Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST_DESCRIPTION})]
Tag = Annotated[str, Meta(extra_json_schema=_TAG)]
Tags = Annotated[list[Tag], Meta(extra_json_schema={"maxItems": MOST_TAGS})]
Id = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Revision = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class TaskOut(Struct):
    """A task as clients see it."""

    id: Id
    user_id: str
    title: Title
    description: Description | None
    status: Status
    completed: bool
    completed_at: Instant | None
    priority: PriorityName
    due_date: date | None
    tags: Annotated[list[Tag], Meta(extra_json_schema={"maxItems": MOST_TAGS})]
    revision: Id
    created_at: Instant
    updated_at: Instant


class TombstoneOut(Struct):
    """A deleted task."""

    id: Id
    revision: Id
    deleted_at: Instant


class ChangesOut(Struct):
    """One page of what changed."""

    tasks: list[TaskOut]
    deleted: list[TombstoneOut]
    revision: Revision
    has_more: bool


class Settable(Struct, forbid_unknown_fields=True):
    """The members a client may set; each may be left out."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    status: Status | UnsetType = UNSET
    completed: bool | UnsetType = UNSET
    priority: PriorityName | UnsetType = UNSET
    due_date: date | UnsetType | None = UNSET
    tags: Tags | UnsetType = UNSET


class NewTask(Settable):
    """The body of a POST."""

    title: Title


class TaskPatch(Settable):
    """The body of a PATCH: a JSON merge patch (RFC 7396)."""


class TaskPut(Settable):
    """The body of a PUT: what `Settable` has, and what a client puts back without meaning to change it."""

    id: Any = UNSET
    user_id: Any = UNSET
    completed_at: Any = UNSET
    revision: Any = UNSET
    created_at: Any = UNSET
    updated_at: Any = UNSET


class Completion(Struct, forbid_unknown_fields=True):
    """The body of a PATCH of `/complete`: nothing toggles, either member sets."""

    completed: bool | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class FieldProblem(Struct):
    """Where in the request the problem is."""

    field: str
    message: str


class ErrorOut(Struct, omit_defaults=True):
    """The shape of every error."""

    error: str
    code: str
    fields: list[FieldProblem] | UnsetType = UNSET
    current: TaskOut | UnsetType = UNSET
    outcome: Literal["unknown"] | UnsetType = UNSET
    request_id: str = ""


def instant(moment: datetime) -> str:
    """Return a UTC time as RFC 3339 with exactly six decimals and Z."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def task_out(task: Task) -> TaskOut:
    """Return the task as clients see it."""
    completed_at = task.completed_at
    return TaskOut(
        task.id,
        task.user_id,
        task.title,
        task.description,
        "incomplete" if completed_at is None else "complete",
        completed_at is not None,
        None if completed_at is None else instant(completed_at),
        PRIORITY_NAMES[task.priority],
        task.due_date,
        list(task.tags),
        task.revision,
        instant(task.created_at),
        instant(task.updated_at),
    )


def tombstone_out(tombstone: Tombstone) -> TombstoneOut:
    """Return a deletion as clients see it."""
    return TombstoneOut(tombstone.id, tombstone.revision, instant(tombstone.deleted_at))


def changes_out(changes: Changes) -> ChangesOut:
    """Return a page of changes as clients see it."""
    return ChangesOut(
        [task_out(task) for task in changes.tasks],
        [tombstone_out(tombstone) for tombstone in changes.deleted],
        changes.revision,
        changes.has_more,
    )


def members(body: Settable | Completion) -> Members:
    """Return what a body says about a task, in the domain's terms."""
    said = {
        name: value
        for name in body.__struct_fields__
        if name in Members.__optional_keys__ and (value := getattr(body, name)) is not UNSET
    }
    if "priority" in said:
        said["priority"] = Priority(PRIORITY_NAMES.index(said["priority"]))
    if "revision" in said and type(said["revision"]) is not int:
        del said["revision"]
    return cast("Members", said)


__all__ = [
    "PRIORITY_NAMES",
    "ChangesOut",
    "Completion",
    "ErrorOut",
    "FieldProblem",
    "NewTask",
    "TaskOut",
    "TaskPatch",
    "TaskPut",
    "changes_out",
    "instant",
    "members",
    "msgspec",
    "task_out",
]
