"""The rules of tasks and of their owners, in plain Python: the standard library is the only import.

tasks = TaskService(store)                  # any store that passes the contract of `Tasks`
made = await tasks.create(user_id("ann"), title="Buy groceries")
"""

from todo_domain.changes import Changes, Tombstone
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.deadline import Deadline
from todo_domain.errors import (
    BudgetExceeded,
    ErasedMeanwhile,
    Exists,
    Forbidden,
    Gone,
    Invalid,
    KeyReused,
    NotFound,
    NotIsolated,
    QuotaReached,
    Repeated,
    Resync,
    Stale,
    TodoError,
    Unauthenticated,
    Unavailable,
)
from todo_domain.extra import ExtraPatch
from todo_domain.naming import Key
from todo_domain.operations import DeleteTask, Done, Operation, OperationFailed, PatchTask, PutTask, Refused
from todo_domain.owner import UserId, user_id
from todo_domain.ports import AuditLog, Caller, Clock, Created, Once, Tasks, TokenVerifier, Written
from todo_domain.put import Put
from todo_domain.query import ListPosition, Page, Query, Sort
from todo_domain.service import TaskService
from todo_domain.task import Members, Priority, Status, Task
from todo_domain.trash import Trashed, TrashPage

__all__ = [
    "AuditLog",
    "BudgetExceeded",
    "Caller",
    "Changes",
    "Changeset",
    "Clock",
    "Created",
    "Deadline",
    "DeleteTask",
    "Done",
    "ErasedMeanwhile",
    "Exists",
    "ExtraPatch",
    "Forbidden",
    "Gone",
    "Invalid",
    "Kept",
    "Key",
    "KeyReused",
    "ListPosition",
    "Members",
    "NotFound",
    "NotIsolated",
    "Once",
    "Operation",
    "OperationFailed",
    "Page",
    "PatchTask",
    "Priority",
    "Put",
    "PutTask",
    "Query",
    "QuotaReached",
    "Refused",
    "Repeated",
    "Resync",
    "Snapshot",
    "Sort",
    "Stale",
    "Status",
    "Task",
    "TaskService",
    "Tasks",
    "TodoError",
    "TokenVerifier",
    "Tombstone",
    "TrashPage",
    "Trashed",
    "Unauthenticated",
    "Unavailable",
    "UserId",
    "Written",
    "user_id",
]
