"""The operations on the trash."""

from __future__ import annotations

from typing import Final

from todo_adapters.http.openapi import examples as ex
from todo_adapters.http.openapi.operation import Operation, body
from todo_adapters.http.openapi.parameters import PAGE_PARAMETERS
from todo_adapters.http.openapi.responses import BELOW_API, ONE_TASK, common, invalid, response
from todo_adapters.http.openapi.schemas import list_of, reference
from todo_adapters.http.protocol.body import parse
from todo_adapters.http.protocol.conditional import none_match
from todo_adapters.http.protocol.errors import JSON_TYPES
from todo_adapters.http.protocol.parameters import Parameters, parse_trash_query, task_key
from todo_adapters.http.protocol.trash_schemas import Nothing
from todo_domain.cursor import decode_trash

_TRASH: Final = "/api/{user_id}/trash"

LIST_TRASH: Final = Operation(
    "get",
    _TRASH,
    "list_trash",
    "trash",
    "List the trash",
    {
        "200": response(
            "The whole trash, or one page of it.",
            list_of("Trashed"),
            headers={"Link": "", "Content-Encoding": ""},
            examples=ex.named(whole=[ex.trashed()], first_page=[ex.trashed()]),
        )
    }
    | invalid(
        unknown_parameter=lambda: parse_trash_query(b"sort=title"),
        cursor_without_limit=lambda: parse_trash_query(b"cursor=abc"),
        cursor_of_another_list=lambda: decode_trash(ex.OWNER, "abc"),
        bad_condition=lambda: none_match(b"17"),
    )
    | BELOW_API,
    "The last deleted first. A task stays in the trash for 30 days, or another time set by the deployment; beyond "
    "1,000 tasks, the oldest are removed.",
    PAGE_PARAMETERS,
)

EMPTY_TRASH: Final = Operation(
    "delete",
    _TRASH,
    "empty_trash",
    "trash",
    "Remove everything from the trash for good",
    {"204": response("The trash is empty.")}
    | invalid(unknown_parameter=lambda: Parameters(b"confirm=true", frozenset()))
    | BELOW_API,
    "The deletions stay in `/changes`, and the counter does not move.",
)

RESTORE: Final = Operation(
    "post",
    _TRASH + "/{key}/restore",
    "restore_task",
    "trash",
    "Restore a task from the trash",
    {
        "200": response(
            "The task as it is now.",
            reference("Task"),
            headers={"ETag": ""},
            examples=ex.named(restored=ex.restored(), not_deleted=ex.shown(ex.GROCERIES)),
        )
    }
    | invalid(bad_key=lambda: task_key("undefined"), unknown_member=lambda: parse(b'{"title": "x"}', Nothing))
    | common("QuotaReached", "BodyTooLarge", "NotJson")
    | ONE_TASK,
    "The task keeps its `id`, `uid` and `created_at`, and gets a new `revision` and `updated_at`. A task that is not "
    "deleted stays unchanged, so the request may be repeated.",
    body=body("Nothing", JSON_TYPES, optional=True, restored={}),
)

DISCARD: Final = Operation(
    "delete",
    _TRASH + "/{key}",
    "discard_task",
    "trash",
    "Remove a task from the trash for good",
    {"204": response("The task can no longer be restored.")} | invalid(bad_key=lambda: task_key("0")) | ONE_TASK,
    "Its deletion stays in `/changes`, and the counter does not move.",
)
