"""What travels: one struct for each JSON object of the contract, and the only mapping from a task to its JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, cast

from msgspec import UNSET, Meta, Struct, UnsetType

from todo_domain import Changes, Members, Priority, Status, Task, Tombstone
from todo_domain.owner import LARGEST_ID
from todo_domain.task import LONGEST_DESCRIPTION, LONGEST_TAG, LONGEST_TITLE, MOST_TAGS

PriorityName = Literal["none", "low", "medium", "high"]
PRIORITY_NAMES: tuple[PriorityName, ...] = ("none", "low", "medium", "high")
"""By the number of the priority."""

TEXT = {"pattern": r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]*$"}
_LABEL = {"minLength": 1, "description": "Trimmed; has at least one visible character.", **TEXT}
_TAGS = {"maxItems": MOST_TAGS, "uniqueItems": True, "description": "Distinct, ignoring case; their order is kept."}
_INSTANT = {"format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"}
_INT64 = {"format": "int64"}
_ID = {
    "type": ["integer", "null"],
    **_INT64,
    "minimum": 1,
    "maximum": LARGEST_ID,
    "description": "Must be the task's own.",
}
_OWNER = {"type": ["string", "null"], "description": "Must be the task's own."}
_IGNORED = {"description": "Ignored."}
_SEEN = {
    "type": ["integer", "null"],
    **_INT64,
    "description": "The revision that the other members were made from. If it is not the task's, 412, unless nothing "
    "would change. Beside it, status and completed may contradict each other: the one that differs is the change.",
}

Instant = Annotated[str, Meta(extra_json_schema=_INSTANT)]
Title = Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST_TITLE, **_LABEL})]
Description = Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST_DESCRIPTION, **TEXT})]
Tag = Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST_TAG, **_LABEL})]
Tags = Annotated[list[Tag], Meta(extra_json_schema=_TAGS)]
Id = Annotated[int, Meta(ge=1, le=LARGEST_ID, extra_json_schema=_INT64)]
Revision = Annotated[int, Meta(ge=0, le=LARGEST_ID, extra_json_schema=_INT64)]
Ignored = Annotated[Any, Meta(extra_json_schema=_IGNORED)]


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
    tags: Tags
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
    """The members a client may set; each may be left out.

    Null stands for the default of a member; for `status` and `completed` it is as if they were not there.
    """

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    status: Status | UnsetType | None = UNSET
    completed: bool | UnsetType | None = UNSET
    priority: PriorityName | UnsetType | None = UNSET
    due_date: date | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET


EXPECTED: Final = {
    "title": "must be a string",
    "description": "must be a string or null",
    "status": "must be incomplete or complete",
    "completed": "must be true or false",
    "priority": "must be none, low, medium or high, or null",
    "due_date": "must be a date like 2026-11-22, or null",
    "tags": "must be an array of strings, or null",
}
"""What each of them has to be, in a sentence that begins with its name."""


class NewTask(Settable):
    """The body of a POST."""

    title: Title


class TaskPatch(Settable):
    """The body of a PATCH: a JSON merge patch (RFC 7396), whose nulls remove, so the twins have none."""

    status: Status | UnsetType = UNSET
    completed: bool | UnsetType = UNSET


class TaskPut(Settable):
    """The body of a PUT: the members to change, and those that a client puts back without meaning to change them."""

    id: Annotated[Any, Meta(extra_json_schema=_ID)] = UNSET
    user_id: Annotated[Any, Meta(extra_json_schema=_OWNER)] = UNSET
    completed_at: Ignored = UNSET
    revision: Annotated[Any, Meta(extra_json_schema=_SEEN)] = UNSET
    created_at: Ignored = UNSET
    updated_at: Ignored = UNSET


class Completion(Struct, forbid_unknown_fields=True):
    """The body of a PATCH of `/complete`: nothing toggles, either member sets."""

    completed: bool | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class Health(Struct):
    """How the service is."""

    status: Literal["live", "ready"]


class FieldProblem(Struct):
    """Where in the request the problem is."""

    field: str
    message: str


class ErrorOut(Struct, omit_defaults=True, kw_only=True):
    """The shape of every error: a sentence for people, a code for programs."""

    error: str
    code: str
    fields: Annotated[list[FieldProblem], Meta(min_length=1)] | UnsetType = UNSET
    current: TaskOut | UnsetType = UNSET
    outcome: Literal["unknown"] | UnsetType = UNSET
    request_id: str


def instant(moment: datetime) -> str:
    """Return what becomes, as JSON, a UTC time as in RFC 3339 with exactly six decimals and Z."""
    if moment.microsecond:
        return moment  # type: ignore[return-value]  # msgspec writes it just so, in a tenth of the time
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def task_out(task: Task) -> TaskOut:
    """Return the task as clients see it."""
    # Taken apart whole, so that a field that is forgotten here is an error of the type checker.
    task_id, user_id, title, description, completed_at, priority, due_date, tags, revision, created_at, updated_at = (
        task
    )
    return TaskOut(
        task_id,
        user_id,
        title,
        description,
        "incomplete" if completed_at is None else "complete",
        completed_at is not None,
        None if completed_at is None else instant(completed_at),
        PRIORITY_NAMES[priority],
        due_date,
        list(tags),
        revision,
        instant(created_at),
        instant(updated_at),
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
        name: _DEFAULTS[name] if value is None and name in _DEFAULTS else value
        for name in body.__struct_fields__
        if name in Members.__optional_keys__
        and (value := getattr(body, name)) is not UNSET
        and (value is not None or name not in ABSENT_IF_NULL)
    }
    if "priority" in said:
        said["priority"] = Priority(PRIORITY_NAMES.index(said["priority"]))
    return cast("Members", said)


_DEFAULTS: Final = {"priority": "none", "tags": []}
ABSENT_IF_NULL: Final = frozenset({"status", "completed", "revision"})
