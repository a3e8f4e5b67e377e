"""The operations on all data of a user."""

from __future__ import annotations

from typing import Final

from todo_adapters.http.openapi import examples as ex
from todo_adapters.http.openapi.operation import Operation, body
from todo_adapters.http.openapi.parameters import ERASE_PARAMETERS, EXPORT_PARAMETERS
from todo_adapters.http.openapi.responses import BELOW_API, common, invalid, refused, response
from todo_adapters.http.openapi.schemas import reference
from todo_adapters.http.protocol.body import shaped
from todo_adapters.http.protocol.errors import JSON_TYPES
from todo_adapters.http.protocol.imports import EXPECTED_HEAD, ImportFile, ImportOut, SkippedOut
from todo_adapters.http.protocol.parameters import parse_export_query, require_confirmed
from todo_domain import ErasedMeanwhile

_FILE: Final = response(
    "The file.",
    reference("Export"),
    headers={"Content-Encoding": "", "Content-Disposition": ""},
    examples=ex.named(everything=ex.export()),
)
_FILE["content"] |= {media_type: {"schema": {"type": "string"}} for media_type in ("text/csv", "text/calendar")}

_PART: Final[ex.Example] = {
    "format": "todo/1",
    "user_id": ex.OWNER,
    "tasks": [
        {"uid": ex.NEW_UID, "title": "Call the plumber", "created_at": "2020-05-17T09:00:00.000000Z"},
        {"title": " "},
    ],
}

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

_UNCHANGED: Final = ImportOut(created=0, updated=0, unchanged=2, skipped=[], skipped_count=0)
_CREATED: Final = ImportOut(
    created=1,
    updated=0,
    unchanged=0,
    skipped=[SkippedOut(1, "title", "must be 1 to 255 characters")],
    skipped_count=1,
)

IMPORT: Final = Operation(
    "post",
    "/api/{user_id}/import",
    "import_tasks",
    "data",
    "Import the tasks of an export",
    {
        "200": response(
            "The outcome of the tasks of the file.",
            reference("Import"),
            examples=ex.named(everything=ex.as_json(_UNCHANGED), part=ex.as_json(_CREATED)),
        )
    }
    | invalid(
        not_an_export=lambda: shaped({"format": "todo/2", "user_id": ex.OWNER, "tasks": []}, ImportFile, EXPECTED_HEAD),
        no_tasks=lambda: shaped({"format": "todo/1", "user_id": ex.OWNER}, ImportFile, EXPECTED_HEAD),
    )
    | {
        "410": refused(
            "The user was erased during the import; no task of the file is left.", {"erased": ErasedMeanwhile()}
        )
    }
    | common("ImportTooLarge", "NotJson")
    | BELOW_API,
    "A task of the file is the user's task with that uid; without a uid, the one of the same `id` and `created_at` if "
    "the file's `user_id` is this user. Otherwise it is a new task, whose uid is computed from the file: a second "
    "import of the same file changes nothing. A deleted task comes back, under its old id while it is in the trash. "
    "`created_at` and `completed_at` are those of the file, but never later than now. An entry that is not a task, or "
    "breaks a rule, is skipped; beyond the quota, so is a new task. The tasks are imported in steps, and others may "
    "write in between; after a 503, send the file again. The same head with some of its tasks is a file, too. An "
    "import may take 30 s; one at a time, else 429.",
    body=body("ImportFile", JSON_TYPES, everything=ex.export(), part=_PART),
)

ERASE: Final = Operation(
    "delete",
    "/api/{user_id}",
    "erase_user",
    "data",
    "Erase all data of the user",
    {"204": response("All data is erased; also for a user who never wrote.")}
    | invalid(not_confirmed=lambda: require_confirmed(b"confirm=me", ex.OWNER))
    | BELOW_API,
    "Tasks, trash, deletions and keys are erased in one transaction; the user id and the counter remain. The counter "
    "advances, so every earlier revision, `ETag` and `since` is stale. It may take 30 s. Each user may run one "
    "transfer at a time; a second one is 429.",
    ERASE_PARAMETERS,
)
