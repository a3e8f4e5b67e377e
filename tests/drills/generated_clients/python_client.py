"""The client that openapi-python-client generates."""

import json
import sys
from datetime import date

from todo_client import AuthenticatedClient
from todo_client.api.sync import list_changes
from todo_client.api.tasks import complete_task, create_task, delete_task, list_tasks, patch_task, put_task
from todo_client.models import (
    Changes,
    Completion,
    ExistsProblem,
    GoneProblem,
    ListTasksSort,
    NewTask,
    Priority,
    StaleProblem,
    Status,
    Task,
    TaskPatch,
    TaskPut,
)

origin, token = sys.argv[1:]
client = AuthenticatedClient(base_url=origin, token=token)


def create(body: NewTask, key: str) -> Task:
    created = create_task.sync("me", client=client, body=body, idempotency_key=key)
    assert isinstance(created, Task), created
    return created


milk = create(NewTask("Buy milk", priority=Priority.HIGH, tags=["home", "shop"]), "1")
again = create(NewTask("Buy milk", priority=Priority.HIGH, tags=["home", "shop"]), "1")
due = date(2026, 12, 24)
plumber = create(NewTask("Call the plumber", priority=Priority.LOW, tags=["home"], due_date=due), "2")
assert plumber.due_date == due
letter = create(NewTask("Write a letter", description=None), "3")

listed = list_tasks.sync(
    "me", client=client, priority=[Priority.HIGH, Priority.LOW], tag=["HOME"], sort=ListTasksSort.TITLE_DESCENDING
)
assert isinstance(listed, list)

seen = f'"{milk.revision}"'
renamed = patch_task.sync("me", milk.id, client=client, body=TaskPatch(title="Buy oat milk"), if_match=seen)
assert isinstance(renamed, Task)
late = patch_task.sync("me", milk.id, client=client, body=TaskPatch(title="Buy soy milk"), if_match=seen)
assert isinstance(late, StaleProblem)
put_back = put_task.sync("me", milk.id, client=client, body=TaskPut.from_dict({**milk.to_dict(), "completed": True}))
assert isinstance(put_back, StaleProblem)

complete_task.sync("me", plumber.id, client=client, body=Completion(completed=True))
delete_task.sync_detailed("me", letter.id, client=client)
changes = list_changes.sync("me", client=client, since=milk.revision)
assert isinstance(changes, Changes)

uid = "named-by-the-client"
put_task.sync("me", uid, client=client, body=TaskPut("Named"), if_none_match="*")
exists = put_task.sync("me", uid, client=client, body=TaskPut("Named again"), if_none_match="*")
assert isinstance(exists, ExistsProblem)
delete_task.sync_detailed("me", uid, client=client)
gone = patch_task.sync("me", uid, client=client, body=TaskPatch("Named late"))
assert isinstance(gone, GoneProblem)

NOT_A_BODY: TaskPut = 42  # type: ignore[assignment]  # a body is an object
NOT_A_TITLE = NewTask(42)  # type: ignore[arg-type]  # whose members have types
NOT_A_STATUS: Status = "done"  # type: ignore[assignment]  # a status is one of two

sys.stdout.write(
    json.dumps(
        {
            "once": again.id == milk.id,
            "listed": [[task.title, task.priority.value] for task in listed],
            "renamed": renamed.title,
            "late": late.current.title,
            "putBack": put_back.current.revision - milk.revision,
            "changed": [[task.title, task.status.value] for task in changes.tasks],
            "deleted": [tombstone.id == letter.id for tombstone in changes.deleted],
            "all": changes.revision - milk.revision,
            "exists": exists.current.title,
            "gone": gone.deleted.uid,
        }
    )
)
