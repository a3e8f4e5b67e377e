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
_LABEL = {"minLength": 1, **TEXT}
_TAGS = {"maxItems": MOST_TAGS, "uniqueItems": True}
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

Title = Annotated[
    str,
    Meta(
        description="What is to be done. Trimmed; has at least one visible character.",
        extra_json_schema={"maxLength": LONGEST_TITLE, **_LABEL},
    ),
]
Description = Annotated[
    str,
    Meta(
        description="More about it, kept as it is; null if there is nothing.",
        extra_json_schema={"maxLength": LONGEST_DESCRIPTION, **TEXT},
    ),
]
Completed = Annotated[bool, Meta(description="The twin of `status`: true if it is `complete`.")]
DueDate = Annotated[date, Meta(description="The day it is due, in no time zone; null if there is none.")]
Tag = Annotated[
    str,
    Meta(
        description="Trimmed; has at least one visible character.",
        extra_json_schema={"maxLength": LONGEST_TAG, **_LABEL},
    ),
]
Tags = Annotated[list[Tag], Meta(description="Distinct, ignoring case; their order is kept.", extra_json_schema=_TAGS)]
Ignored = Annotated[Any, Meta(extra_json_schema=_IGNORED)]


def _instant(description: str) -> Meta:
    return Meta(description=description, extra_json_schema=_INSTANT)


def _number(description: str, least: int = 1) -> Meta:
    return Meta(ge=least, le=LARGEST_ID, description=description, extra_json_schema=_INT64)


def _about(description: str) -> Meta:
    return Meta(description=description)


class TaskOut(Struct):
    """A task as clients see it."""

    id: Annotated[int, _number("Given by the service, unique over all users, never given again.")]
    user_id: Annotated[str, _about("Whose task it is: the token's `sub`.")]
    title: Title
    description: Description | None
    status: Status
    completed: Completed
    completed_at: Annotated[str, _instant("When it became complete; null while it is open.")] | None
    priority: PriorityName
    due_date: DueDate | None
    tags: Tags
    revision: Annotated[int, _number("The user's counter at the task's last change; in quotes, the task's `ETag`.")]
    created_at: Annotated[str, _instant("When it was created.")]
    updated_at: Annotated[str, _instant("When something of it last changed.")]


class TombstoneOut(Struct):
    """A deleted task."""

    id: Annotated[int, _number("The id that the task had.")]
    revision: Annotated[int, _number("The user's counter at the deletion.")]
    deleted_at: Annotated[str, _instant("When it was deleted.")]


class ChangesOut(Struct):
    """One page of what changed."""

    tasks: Annotated[list[TaskOut], _about("The tasks that were created or changed, as they are now.")]
    deleted: Annotated[list[TombstoneOut], _about("The tasks that were deleted.")]
    revision: Annotated[int, _number("What to send as `since` next.", least=0)]
    has_more: Annotated[bool, _about("Whether there is more after this page: ask again at once.")]


class Settable(Struct, forbid_unknown_fields=True):
    """The members a client may set; each may be left out.

    Null stands for the default of a member; for `status` and `completed` it is as if they were not there.
    """

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    status: Status | UnsetType | None = UNSET
    completed: Completed | UnsetType | None = UNSET
    priority: PriorityName | UnsetType | None = UNSET
    due_date: DueDate | UnsetType | None = UNSET
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
    completed: Completed | UnsetType = UNSET


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

    completed: Completed | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class Health(Struct):
    """How the service is."""

    status: Annotated[Literal["live", "ready"], _about("`live`: the process runs; `ready`: it can serve requests.")]


class FieldProblem(Struct):
    """Where in the request the problem is."""

    field: Annotated[
        str, _about("The member, parameter or header; `id` for the path's task, `body` for the whole body.")
    ]
    message: Annotated[str, _about("What the rule is; a sentence whose subject is the field.")]


Sentence = Annotated[str, _about("What was wrong and what to do: a sentence for people.")]
RequestId = Annotated[str, _about("The id of the request, in the log too.")]


class ProblemOut(Struct, omit_defaults=True, kw_only=True):
    """The shape of every error but that of a failed condition: a sentence for people, a code for programs."""

    error: Sentence
    code: Annotated[str, _about("What was wrong, for programs.")]
    fields: (
        Annotated[list[FieldProblem], Meta(min_length=1, description="With 400: the first problem at least.")]
        | UnsetType
    ) = UNSET
    outcome: Annotated[Literal["unknown"], _about("With 503: whether a write was done is not known.")] | UnsetType = (
        UNSET
    )
    request_id: RequestId


class StaleProblemOut(Struct, kw_only=True):
    """The error of a write that was made from another revision of the task than the current one."""

    error: Sentence
    code: Annotated[Literal["stale"], _about("What was wrong, for programs.")]
    current: Annotated[TaskOut, _about("The task as it is now.")]
    request_id: RequestId


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
