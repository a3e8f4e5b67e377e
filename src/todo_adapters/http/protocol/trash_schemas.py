"""The JSON objects of the trash, of an export and of the feed."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct
from msgspec.structs import astuple

from todo_adapters.http.protocol.json_types import about, instant_meta, number_meta
from todo_adapters.http.protocol.task_json import TaskOut, instant, task_out
from todo_domain import Trashed


class TrashedOut(TaskOut):
    """A task in the trash. Its `revision` is the revision of its deletion; the other members are unchanged."""

    deleted_at: Annotated[str, instant_meta("When it was deleted.")]
    expires_at: Annotated[str, instant_meta("The time until which it can be restored.")]


class ExportOut(Struct):
    """All data of one user."""

    format: Annotated[Literal["todo/1"], about("The format of this file.")]
    user_id: Annotated[str, about("The owner: the token's `sub`.")]
    revision: Annotated[int, number_meta("The user's counter.", least=0)]
    exported_at: Annotated[str, instant_meta("When the data was read.")]
    tasks: Annotated[list[TaskOut], about("All tasks, the oldest first.")]
    trash: Annotated[list[TrashedOut], about("The deleted tasks that can be restored, the oldest first.")]


class FeedOut(Struct):
    """A calendar feed that was made."""

    url: Annotated[
        str,
        about("Where the feed is: a reference relative to the request's own URL. It is a secret, and shown only here."),
    ]


class Nothing(Struct, forbid_unknown_fields=True):
    """The body of a request without content: an empty object, or no body."""


def trashed_out(trashed: Trashed) -> TrashedOut:
    """Return the JSON object of a task in the trash."""
    task, deleted_at, expires_at = trashed
    members = astuple(task_out(task))
    return TrashedOut(*members, instant(deleted_at), instant(expires_at))  # type: ignore[call-arg]  # all of TaskOut's
