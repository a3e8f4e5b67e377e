"""The JSON objects of the contract, one struct each, and the only mapping from a task to its JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, cast

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from todo_adapters.http.protocol.member_types import (
    ID,
    OWNER,
    PRIORITY_NAMES,
    PUT_BACK_UID,
    SEEN,
    Completed,
    Description,
    DueDate,
    Extra,
    ExtraMerge,
    ExtraOut,
    Ignored,
    OnlyNull,
    PriorityName,
    Tags,
    TaskPosition,
    Title,
    Uid,
    about,
    instant_meta,
    number_meta,
)
from todo_domain import Changes, ExtraPatch, Invalid, Members, Priority, Put, Status, Task, Tombstone
from todo_domain.extra import EMPTY


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


class TombstoneOut(Struct):
    """A deleted task."""

    id: Annotated[int, number_meta("The id that the task had.")]
    uid: Uid | None
    revision: Annotated[int, number_meta("The user's counter at the deletion.")]
    deleted_at: Annotated[str, instant_meta("When it was deleted.")]


class ChangesOut(Struct):
    """One page of changes."""

    tasks: Annotated[list[TaskOut], about("The tasks that were created or changed, as they are now.")]
    deleted: Annotated[list[TombstoneOut], about("The tasks that were deleted.")]
    revision: Annotated[int, number_meta("The value of the next `since`.", least=0)]
    has_more: Annotated[bool, about("Whether there is another page: request it at once.")]


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


class _WithoutGiven(Settable):
    """The members that a client may set, in a body that may have the others only as null, which counts as absent."""

    id: OnlyNull = UNSET
    uid: OnlyNull = UNSET
    user_id: OnlyNull = UNSET
    completed_at: OnlyNull = UNSET
    revision: OnlyNull = UNSET
    created_at: OnlyNull = UNSET
    updated_at: OnlyNull = UNSET


class NewTask(_WithoutGiven):
    """The body of a POST."""

    title: Title


class TaskPatch(_WithoutGiven):
    """The body of a PATCH: a JSON merge patch (RFC 7396); null is not allowed for `status` and `completed`."""

    status: Status | UnsetType = UNSET
    completed: Completed | UnsetType = UNSET
    extra: ExtraMerge | UnsetType | None = UNSET


class TaskPut(Settable):
    """The body of a PUT: the members to change, and the read-only members that a client may send back."""

    id: Annotated[Any, Meta(extra_json_schema=ID)] = UNSET
    uid: Annotated[Any, Meta(extra_json_schema=PUT_BACK_UID)] = UNSET
    user_id: Annotated[Any, Meta(extra_json_schema=OWNER)] = UNSET
    completed_at: Ignored = UNSET
    revision: Annotated[Any, Meta(extra_json_schema=SEEN)] = UNSET
    created_at: Ignored = UNSET
    updated_at: Ignored = UNSET


class Completion(Struct, forbid_unknown_fields=True):
    """The body of a PATCH of `/complete`: an empty object toggles, either member sets."""

    completed: Completed | UnsetType = UNSET
    status: Status | UnsetType = UNSET


class Health(Struct):
    """The health of the service."""

    status: Annotated[Literal["live", "ready"], about("`live`: the process runs; `ready`: it can serve requests.")]


_NO_EXTRA: Final = Raw(EMPTY.encode())


def instant(moment: datetime) -> str:
    """Return a value whose JSON is a UTC time of RFC 3339 with exactly six decimals and Z."""
    if moment.microsecond:
        return moment  # type: ignore[return-value]  # msgspec writes the same form, in a tenth of the time
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


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
        list(tags),
        position,
        _NO_EXTRA if extra == EMPTY else Raw(extra.encode()),
        revision,
        instant(created_at),
        instant(updated_at),
    )


def tombstone_out(tombstone: Tombstone) -> TombstoneOut:
    """Return the JSON object of a deletion."""
    return TombstoneOut(tombstone.id, tombstone.uid, tombstone.revision, instant(tombstone.deleted_at))


def changes_out(changes: Changes) -> ChangesOut:
    """Return the JSON object of a page of changes."""
    return ChangesOut(
        [task_out(task) for task in changes.tasks],
        [tombstone_out(tombstone) for tombstone in changes.deleted],
        changes.revision,
        changes.has_more,
    )


def members(body: Settable | Completion) -> Members:
    """Return the members that a body sets, as the domain's types."""
    said: dict[str, Any] = {
        name: _DEFAULTS[name] if value is None and name in _DEFAULTS else value
        for name in body.__struct_fields__
        if name in Members.__optional_keys__
        and (value := getattr(body, name)) is not UNSET
        and (value is not None or name not in ABSENT_IF_NULL)
    }
    if "extra" in said and type(body) is TaskPatch and body.extra is not None:
        said["extra"] = ExtraPatch(said["extra"])
    if "priority" in said:
        said["priority"] = Priority(PRIORITY_NAMES.index(said["priority"]))
    return cast("Members", said)


def put_of(body: TaskPut) -> Put:
    """Return the PUT in a body. Raises Invalid for a revision that is not an integer."""
    id_, uid, user_id, revision = (
        None if given is UNSET else given for given in (body.id, body.uid, body.user_id, body.revision)
    )
    if revision is not None and type(revision) is not int:
        raise Invalid("revision", "must be an integer: the task's revision when the client read it")
    return Put(members(body), id=id_, uid=uid, user_id=user_id)


_DEFAULTS: Final = {"priority": "none", "tags": [], "extra": {}}
ABSENT_IF_NULL: Final = frozenset({"status", "completed", "revision"})
