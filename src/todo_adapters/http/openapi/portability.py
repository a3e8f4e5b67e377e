"""The operations on all data of a user."""

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
    "Download all data of the user",
    {"200": _FILE} | invalid(unknown_format=lambda: parse_export_query(b"format=xml")) | BELOW_API,
    "The data is one snapshot. In CSV, a cell that a spreadsheet would evaluate begins with an apostrophe. In "
    "iCalendar, each task is a VTODO. Each user may run one transfer at a time; a second one is 429.",
    EXPORT_PARAMETERS,
)

ERASE: Final = Operation(
    "delete",
    "/api/{user_id}",
    "erase_user",
    "data",
    "Erase all data of the user",
    {"204": answer("All data is erased; also for a user who never wrote.")}
    | invalid(not_confirmed=lambda: require_confirmed(b"confirm=me", ex.OWNER))
    | BELOW_API,
    "Tasks, trash, deletions and keys are erased in one transaction; the user id and the counter remain. The counter "
    "advances, so every earlier revision, `ETag` and `since` is stale. It may take 30 s. Each user may run one "
    "transfer at a time; a second one is 429.",
    ERASE_PARAMETERS,
)
