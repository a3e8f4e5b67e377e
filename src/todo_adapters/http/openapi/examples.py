"""The examples, made by the code that makes the real responses, so that they cannot differ from them.

They all belong to one small account at one moment, `NOW`: two tasks and a deletion. In this account, each request
example gets the response example of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from todo_adapters.http.protocol.batches import batch_results, parse_batch
from todo_adapters.http.protocol.body import parse
from todo_adapters.http.protocol.errors import error_response
from todo_adapters.http.protocol.response import encode
from todo_adapters.http.protocol.schemas import NewTask, TaskPut, changes_out, members, put_of
from todo_adapters.http.protocol.task_json import instant, task_out
from todo_adapters.http.protocol.trash_schemas import ExportOut, trashed_out
from todo_domain import Changes, Kept, Members, Priority, Snapshot, Task, TodoError, Tombstone, Trashed, user_id
from todo_domain.batch import plan
from todo_domain.changes import LARGEST_PAGE, page_of_changes
from todo_domain.extra import EMPTY
from todo_domain.judging import settled
from todo_domain.owner import DEFAULT_QUOTA, first_counter
from todo_domain.put import checked_put, judge_put
from todo_domain.task import check, check_new, new_task
from todo_domain.trash import TRASH_KEPT

Example = dict[str, Any]
Named = dict[str, dict[str, Any]]
"""Examples by name, in OpenAPI's form."""

OWNER: Final = user_id("user_8f3")
THEN: Final = datetime(2026, 11, 22, 9, 15, 0, 123456, tzinfo=UTC)
NOW: Final = datetime(2026, 11, 23, 18, 30, 0, 654321, tzinfo=UTC)
REQUEST_ID: Final = "9f86d081884c7d659a2feaa0"
_BEGAN: Final = first_counter(THEN)

RENT: Final = Task(
    id=40,
    uid=None,
    user_id=OWNER,
    title="Pay the rent",
    description="By bank transfer.",
    completed_at=THEN,
    priority=Priority.HIGH,
    due_date=date(2026, 12, 1),
    tags=("home", "money"),
    position="a0",
    extra='{"color":"teal","list":"flat"}',
    revision=_BEGAN + 15,
    created_at=THEN,
    updated_at=THEN,
)
DELETED: Final = Tombstone(id=41, uid="0199c3a8-5d1e-7c4f-9b0a-3f7d2c11e8aa", revision=_BEGAN + 16, deleted_at=THEN)
TRASHED: Final = Trashed(
    Task(
        id=DELETED.id,
        uid=DELETED.uid,
        user_id=OWNER,
        title="Return the drill",
        description=None,
        completed_at=None,
        priority=Priority.NONE,
        due_date=None,
        tags=(),
        position=None,
        extra=EMPTY,
        revision=DELETED.revision,
        created_at=THEN,
        updated_at=THEN,
    ),
    deleted_at=THEN,
    expires_at=THEN + TRASH_KEPT,
)
GROCERIES: Final = Task(
    id=42,
    uid="0199c3a9-0b52-7e1c-8d1f-52a1f0c3b6d7",
    user_id=OWNER,
    title="Buy groceries",
    description=None,
    completed_at=None,
    priority=Priority.NONE,
    due_date=None,
    tags=(),
    position=None,
    extra=EMPTY,
    revision=_BEGAN + 17,
    created_at=THEN,
    updated_at=THEN,
)
COUNTER: Final = GROCERIES.revision
NEXT_ID: Final = GROCERIES.id + 1
NEW_UID: Final = "0199c3aa-77d0-7b3e-a1c4-9e0d4b8f2a15"


def as_json(struct: object) -> Example:
    """Return a struct as a client gets it."""
    example: Example = msgspec.json.decode(encode(struct))
    return example


def shown(task: Task) -> Example:
    """Return the task as in a response."""
    return as_json(task_out(task))


def trashed() -> Example:
    """Return the deleted task as in the trash."""
    return as_json(trashed_out(TRASHED))


def restored() -> Example:
    """Return the deleted task after its restore."""
    return shown(TRASHED.task._replace(revision=COUNTER + 1, updated_at=NOW))


def created(body: Example) -> Example:
    """Return the task that a POST of this body makes."""
    said = check_new(members(parse(encode(body), NewTask)))
    return shown(new_task(said, id=NEXT_ID, owner=OWNER, revision=COUNTER + 1, now=NOW))


def put(body: Example) -> Example:
    """Return the task that a PUT of this body under the uid NEW_UID makes."""
    asked = checked_put(put_of(parse(encode(body), TaskPut)))
    task = judge_put(asked, None, owner=OWNER, key=NEW_UID, now=NOW)
    return shown(task._replace(id=NEXT_ID, revision=COUNTER + 1))


def edited(said: Members) -> Example:
    """Return the groceries after an edit with these members."""
    task = GROCERIES.edited(check(said), NOW)
    return shown(task if task is GROCERIES else task._replace(revision=COUNTER + 1))


def toggled() -> Example:
    """Return the groceries after a toggle."""
    return shown(GROCERIES.toggled(NOW)._replace(revision=COUNTER + 1))


def whole_state() -> Example:
    """Return the response of `/changes` to a device without a copy."""
    return as_json(changes_out(Changes([RENT, GROCERIES], [], COUNTER, has_more=False)))


def changes(limit: int = LARGEST_PAGE) -> Example:
    """Return the response of `/changes` to a device whose copy ends with the rent."""
    return as_json(changes_out(page_of_changes([GROCERIES], [DELETED], counter=COUNTER, limit=limit)))


def batched(body: Example) -> Example:
    """Return the results of a batch in the account."""
    operations = parse_batch(encode(body)).operations
    snapshot = Snapshot(COUNTER, 0, 2, [RENT, GROCERIES], [DELETED], {DELETED.id: TRASHED.task})
    planned = plan(operations, snapshot, owner=OWNER, quota=DEFAULT_QUOTA, now=NOW)
    ids = {uid: NEXT_ID + index for index, uid in enumerate(planned.changes.made)}
    return as_json(batch_results(settled(planned, Kept(COUNTER, ids))))


def export() -> Example:
    """Return the export of the account."""
    tasks = [task_out(RENT), task_out(GROCERIES)]
    return as_json(ExportOut("todo/1", OWNER, COUNTER, instant(NOW), tasks, [trashed_out(TRASHED)]))


def error_of(raised: TodoError | Callable[[], object]) -> TodoError:
    """Return this error, or the one that a call raises."""
    if isinstance(raised, TodoError):
        return raised
    try:
        raised()
    except TodoError as error:
        return error
    raise AssertionError("the example of an error raised no error")


def refusal(error: TodoError) -> Example:
    """Return the body of the response to this error."""
    example: Example = msgspec.json.decode(error_response(error, REQUEST_ID).body)
    return example


def named(**values: object) -> Named:
    """Return examples in OpenAPI's form."""
    return {name: {"value": value} for name, value in values.items()}
