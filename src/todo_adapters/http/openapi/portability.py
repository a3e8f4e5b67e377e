"""The operations on a user's data as a whole."""

from __future__ import annotations

from typing import Final

from todo_adapters.http.openapi import examples as ex
from todo_adapters.http.openapi.answers import BELOW_API, answer, invalid
from todo_adapters.http.openapi.operation import Operation
from todo_adapters.http.openapi.parameters import ERASE_PARAMETERS, EXPORT_PARAMETERS
from todo_adapters.http.openapi.schemas import reference
from todo_adapters.http.protocol.parameters import parse_export_query, require_confirmed

_FILE: Final = answer(
    "The file.",
    reference("Export"),
    headers={"Content-Encoding": "", "Content-Disposition": ""},
    examples=ex.named(everything=ex.export()),
)
_FILE["content"] |= {media_type: {"schema": {"type": "string"}} for media_type in ("text/csv", "text/calendar")}

EXPORT: Final = Operation(
    "get",
    "/api/{user_id}/export",
    "export_tasks",
    "data",
    "Download everything of the user",
    {"200": _FILE} | invalid(unknown_format=lambda: parse_export_query(b"format=xml")) | BELOW_API,
    "All of it is from one moment. As CSV, a cell that a spreadsheet would calculate begins with an apostrophe. As "
    "iCalendar, each task is a VTODO. One at a time of each user, else 429.",
    EXPORT_PARAMETERS,
)

ERASE: Final = Operation(
    "delete",
    "/api/{user_id}",
    "erase_user",
    "data",
    "Erase everything of the user",
    {"204": answer("It is gone; of a user who never wrote, too.")}
    | invalid(not_confirmed=lambda: require_confirmed(b"confirm=me", ex.OWNER))
    | BELOW_API,
    "In one transaction, tasks, trash, deletions and keys go; the user id and the counter remain. The counter is "
    "moved, so every revision, every `ETag` and every `since` from before is stale. It may take 30 s; one at a "
    "time, else 429.",
    ERASE_PARAMETERS,
)
