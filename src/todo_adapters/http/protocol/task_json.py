"""The members of a task in JSON: the type and the sentence of each, and the only mapping from a task to its JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from todo_adapters.http.protocol.json_types import TEXT, Uid, about, instant_meta, number_meta
from todo_domain import Status, Task
from todo_domain.extra import DEEPEST_EXTRA, EMPTY, LARGEST_EXTRA
from todo_domain.instants import text_of_instant
from todo_domain.task import LONGEST_DESCRIPTION, LONGEST_TAG, LONGEST_TITLE, MOST_TAGS, POSITION

PriorityName = Literal["none", "low", "medium", "high"]
PRIORITY_NAMES: tuple[PriorityName, ...] = ("none", "low", "medium", "high")
"""Indexed by the number of the priority."""

_LABEL = {"minLength": 1, **TEXT}
_TAGS = {"maxItems": MOST_TAGS, "uniqueItems": True}
_POSITION = {"pattern": f"^{POSITION.pattern}$"}
_EXTRA = {"type": "object"}

Title = Annotated[
    str,
    Meta(
        description="The task in a few words. Trimmed; has at least one visible character.",
        extra_json_schema={"maxLength": LONGEST_TITLE, **_LABEL},
    ),
]
Description = Annotated[
    str,
    Meta(
        description="A longer text, kept as sent; null if there is none.",
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
TaskPosition = Annotated[
    str,
    Meta(
        description="A position in the client's own order, compared by ASCII code; null if there is none.",
        extra_json_schema=_POSITION,
    ),
]
_OWN = (
    f"An object of the client's own: at most {LARGEST_EXTRA:,} bytes as JSON without white space, nested at most "
    f"{DEEPEST_EXTRA} deep, text without control characters, integers from -2^53 to 2^53."
)
Extra = Annotated[dict[str, Any], Meta(description=_OWN)]
ExtraOut = Annotated[Raw, Meta(description=_OWN, extra_json_schema=_EXTRA)]
ExtraMerge = Annotated[
    dict[str, Any],
    Meta(
        description="Merged into the current object: null removes a member. The limits of `extra` apply to the result."
    ),
]


class TaskOut(Struct):
    """A task as clients see it."""

    id: Annotated[int, number_meta("Assigned by the service; unique over all users, never reused.")]
    uid: Uid | None
    user_id: Annotated[str, about("The owner: the token's `sub`.")]
    title: Title
    description: Description | None
    status: Status
    completed: Completed
    completed_at: Annotated[str, instant_meta("When it became complete; null while it is open.")] | None
    priority: PriorityName
    due_date: DueDate | None
    tags: Tags
    position: TaskPosition | None
    extra: ExtraOut
    revision: Annotated[int, number_meta("The user's counter at the task's last change; in quotes, the task's `ETag`.")]
    created_at: Annotated[str, instant_meta("When it was created.")]
    updated_at: Annotated[str, instant_meta("When it last changed.")]


class Settable(Struct, forbid_unknown_fields=True):
    """The members a client may set; each may be left out.

    Null is the default of a member; null for `status` and `completed` counts as absent.
    """

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    status: Status | UnsetType | None = UNSET
    completed: Completed | UnsetType | None = UNSET
    priority: PriorityName | UnsetType | None = UNSET
    due_date: DueDate | UnsetType | None = UNSET
    tags: Tags | UnsetType | None = UNSET
    position: TaskPosition | UnsetType | None = UNSET
    extra: Extra | UnsetType | None = UNSET


EXPECTED: Final = {
    "title": "must be a string",
    "description": "must be a string or null",
    "status": "must be incomplete or complete",
    "completed": "must be true or false",
    "priority": "must be none, low, medium or high, or null",
    "due_date": "must be a date like 2026-11-22, or null",
    "tags": "must be an array of strings, or null",
    "position": "must be 1 to 64 of 0-9, A-Z and a-z, or null",
    "extra": "must be a JSON object, or null",
}
"""The rule of each member, as the rest of a sentence that begins with its name."""


_NO_EXTRA: Final = Raw(EMPTY.encode())


def instant(moment: datetime) -> str:
    """Return a value whose JSON is a UTC time of RFC 3339 with exactly six decimals and Z."""
    if moment.microsecond:
        return moment  # type: ignore[return-value]  # msgspec writes the same form, in a tenth of the time
    return text_of_instant(moment)


def task_out(task: Task) -> TaskOut:
    """Return the JSON object of a task."""
    # All fields are unpacked, so that the type checker reports a field that is forgotten here.
    (
        task_id,
        uid,
        user_id,
        title,
        description,
        completed_at,
        priority,
        due_date,
        tags,
        position,
        extra,
        revision,
        created_at,
        updated_at,
    ) = task
    return TaskOut(
        task_id,
        uid,
        user_id,
        title,
        description,
        "incomplete" if completed_at is None else "complete",
        completed_at is not None,
        None if completed_at is None else instant(completed_at),
        PRIORITY_NAMES[priority],
        due_date,
        tags,  # type: ignore[arg-type]  # msgspec writes a tuple and a list alike
        position,
        _NO_EXTRA if extra == EMPTY else Raw(extra.encode()),
        revision,
        # Without the calls of `instant`, which most times do not need, a long list is encoded faster.
        created_at if created_at.microsecond else instant(created_at),  # type: ignore[arg-type]  # see `instant`
        updated_at if updated_at.microsecond else instant(updated_at),  # type: ignore[arg-type]  # see `instant`
    )
