"""The other JSON objects of the contract, one struct each; `task_json.py` has the members of a task."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, cast

from msgspec import UNSET, Meta, Struct, UnsetType

from todo_adapters.http.protocol.json_types import (
    ID,
    OWNER,
    PUT_BACK_UID,
    SEEN,
    Ignored,
    OnlyNull,
    Uid,
    about,
    instant_meta,
    number_meta,
)
from todo_adapters.http.protocol.task_json import (
    PRIORITY_NAMES,
    Completed,
    ExtraMerge,
    Settable,
    TaskOut,
    Title,
    instant,
    task_out,
)
from todo_domain import Changes, ExtraPatch, Invalid, Members, Priority, Put, Status, Tombstone


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
