"""The task operations."""

from __future__ import annotations

from typing import Final

from todo_adapters.http.openapi import examples as ex
from todo_adapters.http.openapi.operation import Operation, body, unchanged
from todo_adapters.http.openapi.parameters import LIST_PARAMETERS, shared
from todo_adapters.http.openapi.responses import (
    BELOW_API,
    CONDITIONAL,
    ONE_TASK,
    WRITE,
    Responses,
    common,
    invalid,
    response,
)
from todo_adapters.http.openapi.schemas import list_of, reference
from todo_adapters.http.protocol.body import parse
from todo_adapters.http.protocol.conditional import idempotency_key, if_match, none_match
from todo_adapters.http.protocol.errors import JSON_TYPES, PATCH_TYPES
from todo_adapters.http.protocol.parameters import parse_list_query, query_of, task_key
from todo_adapters.http.protocol.schemas import NewTask, TaskPatch, TaskPut, put_of
from todo_domain.put import judge_put
from todo_domain.task import check


def _task(
    description: str, *, status: str = "200", headers: dict[str, str] | None = None, **examples: object
) -> Responses:
    headers = {"ETag": ""} | (headers or {})
    return {status: response(description, reference("Task"), headers=headers, examples=ex.named(**examples))}


def _written(media_type_response: str) -> Responses:
    return common("BodyTooLarge", media_type_response)


_REPLAYED: Final = {"Idempotency-Replayed": ""}
_TASKS: Final = "/api/{user_id}/tasks"
_TASK: Final = "/api/{user_id}/tasks/{key}"
_FULL: Final[ex.Example] = {
    "title": "Call the plumber",
    "description": "The kitchen tap drips.",
    "priority": "high",
    "due_date": "2026-11-30",
    "tags": ["home", "phone"],
}
_PUT_BACK: Final = ex.shown(ex.GROCERIES) | {"completed": True}

LIST: Final = Operation(
    "get",
    _TASKS,
    "list_tasks",
    "tasks",
    "List the user's tasks",
    {
        "200": response(
            "The whole list, or one page of it.",
            list_of("Task"),
            headers={"ETag": "List-ETag", "Link": "", "Content-Encoding": ""},
            examples=ex.named(
                newest_first=[ex.shown(ex.GROCERIES), ex.shown(ex.RENT)],
                first_page=[ex.shown(ex.GROCERIES)],
                complete=[ex.shown(ex.RENT)],
                searched=[ex.shown(ex.RENT)],
            ),
        )
    }
    | unchanged("List-ETag")
    | invalid(
        unknown_parameter=lambda: parse_list_query(b"stauts=complete"),
        bad_limit=lambda: query_of(parse_list_query(b"limit=0"), ex.OWNER),
        cursor_of_another_list=lambda: query_of(parse_list_query(b"limit=1&cursor=abc"), ex.OWNER),
    )
    | BELOW_API,
    "Without `limit`, the response is the whole list, newest first. Filters combine with AND.",
    [*LIST_PARAMETERS, shared("IfNoneMatch")],
)

CREATE: Final = Operation(
    "post",
    _TASKS,
    "create_task",
    "tasks",
    "Create a task",
    _task(
        "The task.",
        status="201",
        headers={"Location": ""} | _REPLAYED,
        only_a_title=ex.created({"title": "Call the plumber"}),
        everything=ex.created(_FULL),
    )
    | invalid(
        title_missing=lambda: parse(b"{}", NewTask),
        unknown_member=lambda: parse(b'{"titel": "Call the plumber"}', NewTask),
        bad_key=lambda: idempotency_key(b'""'),
    )
    | common("QuotaReached", "KeyReused")
    | _written("NotJson")
    | BELOW_API,
    "With an `Idempotency-Key`, the same body again within 7 days gets the first response again.",
    [shared("IdempotencyKey")],
    body("NewTask", JSON_TYPES, only_a_title={"title": "Call the plumber"}, everything=_FULL),
)

READ: Final = Operation(
    "get",
    _TASK,
    "read_task",
    "tasks",
    "Read one task",
    _task("The task.", task=ex.shown(ex.GROCERIES))
    | unchanged("ETag")
    | invalid(bad_key=lambda: task_key("undefined"), bad_condition=lambda: none_match(b"17"))
    | ONE_TASK,
    parameters=[shared("IfNoneMatch")],
)

PUT: Final = Operation(
    "put",
    _TASK,
    "put_task",
    "tasks",
    "Update the members given, or create the task of a uid",
    _task(
        "The task as it was created.",
        status="201",
        created=ex.put({"title": "Call the plumber"}),
    )
    | _task(
        "The task as it is now.",
        headers=_REPLAYED,
        some_members=ex.edited({"title": "Buy groceries and milk"}),
        put_back=ex.edited({"completed": True}),
    )
    | invalid(
        other_id=lambda: judge_put(
            put_of(parse(b'{"id": 7, "title": "x"}', TaskPut)), ex.GROCERIES, owner=ex.OWNER, key=42, now=ex.NOW
        )
    )
    | common("QuotaReached")
    | _written("NotJson")
    | WRITE
    | common("StaleOrExists"),
    "If no task of the user has the uid, a PUT with a title creates it, unless an `id`, a `revision` or an `If-Match` "
    "shows that the client knew a task that no longer exists. So an offline client can name its tasks and repeat the "
    "PUT. The uid of a deleted task is 410. With `If-None-Match: *`, the PUT only creates. A task may be sent back as "
    "it was read, with the client's changes: `id`, `uid` and `user_id` must then be the task's own, and `revision` is "
    "the one that was read: if the task has changed meanwhile, the status is 412. Other read-only members are ignored. "
    "Leave `revision` out if your values are to win.",
    [shared("IfMatch"), shared("IdempotencyKey"), shared("CreateOnly")],
    body(
        "TaskPut",
        JSON_TYPES,
        created={"title": "Call the plumber"},
        some_members={"title": "Buy groceries and milk"},
        put_back=_PUT_BACK,
    ),
)

PATCH: Final = Operation(
    "patch",
    _TASK,
    "patch_task",
    "tasks",
    "Apply a JSON merge patch (RFC 7396)",
    _task(
        "The task as it is now.",
        headers=_REPLAYED,
        status_and_tags=ex.edited({"status": "complete", "tags": ["home"]}),
        nothing=ex.edited({}),
    )
    | invalid(
        wrong_type=lambda: parse(b'{"completed": "true"}', TaskPatch),
        contradiction=lambda: check({"status": "complete", "completed": False}),
    )
    | _written("NotAPatch")
    | WRITE,
    parameters=[shared("IfMatch"), shared("IdempotencyKey")],
    body=body("TaskPatch", PATCH_TYPES, status_and_tags={"status": "complete", "tags": ["home"]}, nothing={}),
)

DELETE: Final = Operation(
    "delete",
    _TASK,
    "delete_task",
    "tasks",
    "Delete a task",
    {"204": response("The task is deleted; also if the uid is that of a task deleted before.", headers=_REPLAYED)}
    | invalid(bad_condition=lambda: if_match(b"17"))
    | common("KeyReused")
    | CONDITIONAL,
    "The task moves to the trash, from which it can be restored for a limited time.",
    parameters=[shared("IfMatch"), shared("IdempotencyKey")],
)

COMPLETE: Final = Operation(
    "patch",
    _TASK + "/complete",
    "complete_task",
    "tasks",
    "Toggle a task, or set it complete or incomplete",
    _task(
        "The task as it is now.",
        headers=_REPLAYED,
        toggle=ex.toggled(),
        toggle_with_null=ex.toggled(),
        complete=ex.edited({"completed": True}),
        reopen=ex.edited({"status": "incomplete"}),
    )
    | invalid(bad_key=lambda: task_key("0"), contradiction=lambda: check({"status": "complete", "completed": False}))
    | _written("NotAPatch")
    | WRITE,
    "Without a body, with `{}` or with `null`, it toggles. No toggle is ever lost.",
    [shared("IfMatch"), shared("IdempotencyKey")],
    body(
        "Completion",
        PATCH_TYPES,
        optional=True,
        toggle={},
        toggle_with_null=None,
        complete={"completed": True},
        reopen={"status": "incomplete"},
    ),
)
