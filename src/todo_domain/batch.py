"""A batch: operations on several tasks of one user, and what they do to a snapshot of these tasks.

The store reads a snapshot; `plan` judges the operations one after the other, as if each were a request of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from todo_domain.changes import Tombstone
from todo_domain.changeset import Changeset, Snapshot
from todo_domain.errors import Exists, Gone, NotFound, Stale, TodoError
from todo_domain.judging import Judge, Plan
from todo_domain.naming import Key
from todo_domain.operations import (
    DeleteTask,
    Done,
    Operation,
    OperationFailed,
    PatchTask,
    PutTask,
    Refused,
    Result,
    keys_of,
)
from todo_domain.owner import UserId
from todo_domain.put import Put, checked_put, judge_put
from todo_domain.task import Task, at_revision, check
from todo_domain.trash import TRASH_KEPT, trash_since


def plan(
    operations: Sequence[Operation],
    snapshot: Snapshot,
    *,
    owner: UserId,
    quota: int,
    now: datetime,
    trash_kept: timedelta = TRASH_KEPT,
) -> Plan:
    """Judge the operations in order; each sees the effects of the earlier ones. Nothing is read or written.

    Raises nothing: the error of an operation is its result.
    """
    judge = _BatchJudge(snapshot, owner=owner, quota=quota, now=now, trash_since=trash_since(now, trash_kept))
    results = [judge.result(operation) for operation in operations]
    return Plan(results, judge.changes(operations))


def first_failure(plan: Plan, snapshot: Snapshot) -> OperationFailed | None:
    """Return the error for an atomic batch to raise, None if every operation succeeds.

    If it is `known`, its task is as stored, without the batch's changes.
    """
    for index, result in enumerate(plan.results):
        if isinstance(result, TodoError):
            shown = _shown(result)
            if shown is None or shown.revision <= plan.changes.revision:
                return OperationFailed(index, result, known=True)
            stored = next((task for task in snapshot.tasks if task.id == shown.id), None)
            if stored is not None and isinstance(result, Stale | Exists):
                return OperationFailed(index, type(result)(stored), known=True)
            return OperationFailed(index, result, known=False)
    return None


def _shown(error: TodoError) -> Task | Tombstone | None:
    match error:
        case Stale() | Exists():
            return error.current
        case Gone():
            return error.deleted
        case _:
            return None


class _BatchJudge(Judge):
    """The judge of a batch."""

    def result(self, operation: Operation) -> Result:
        """Judge an operation; return its result."""
        try:
            match operation:
                case PutTask(key, put):
                    return self._put(key, put)
                case PatchTask(key, members, if_match):
                    checked = check(members)
                    task = self._task(key)
                    edited = at_revision(if_match, lambda task, now: task.edited(checked, now))(task, self._now)
                    return Done(self._edit(task, edited))
                case DeleteTask(key, if_match):
                    return self._delete(key, if_match)
                case Refused(_, error):
                    return error
        except Gone as gone:
            there = gone.deleted.revision > self._begun or gone.deleted.id in self._snapshot.trashed
            return Gone(gone.deleted, restorable=there and gone.deleted.deleted_at > self._trash_since)
        except TodoError as error:
            return error.without_frames()

    def changes(self, operations: Sequence[Operation]) -> Changeset:
        """Return the changes of the operations that were done."""
        named = keys_of(operations)
        return self._changeset(
            tombstones={},
            expected={task.id: task.revision for task in self._snapshot.tasks},
            absent=[key for key in named if isinstance(key, str) and key not in self._found],
            exact=any(self._begun < revision <= self._begun + len(operations) for revision in _conditions(operations)),
        )

    def _put(self, key: Key, put: Put) -> Done:
        put = checked_put(put)
        if isinstance(key, str) and put.may_create:
            # an invalid PUT is 400, whatever is stored
            judge_put(put, None, owner=self._owner, key=key, now=self._now)
        found = self._look_up(key)
        task = judge_put(put, found, owner=self._owner, key=key, now=self._now)
        if isinstance(found, Task):
            return Done(self._edit(found, task))
        self._admit()
        self._made.append(str(key))
        return Done(self._write(task), created=True)

    def _edit(self, found: Task, edited: Task) -> Task:
        return found if edited is found else self._write(edited)

    def _delete(self, key: Key, if_match: Collection[int] | None) -> Done:
        try:
            task = self._task(key)
        except Gone:
            return Done(None)
        if if_match is not None and task.revision not in if_match:
            raise Stale(task)
        self._count -= 1
        self._revision += 1
        self._deleted.append(task._replace(revision=self._revision))
        self._keep(self._written, Tombstone(task.id, task.uid, self._revision, self._now))
        return Done(None)

    def _task(self, key: Key) -> Task:
        found = self._look_up(key)
        if isinstance(found, Task):
            return found
        if found is not None and isinstance(key, str):
            raise Gone(found)
        raise NotFound


def _conditions(operations: Sequence[Operation]) -> list[int]:
    """Return the revisions in the conditions of the operations."""
    revisions: list[int] = []
    for operation in operations:
        match operation:
            case PutTask(_, put):
                revisions += put.if_match or ()
                if type(revision := put.members.get("revision")) is int:
                    revisions.append(revision)
            case PatchTask(_, _, if_match) | DeleteTask(_, if_match):
                revisions += if_match or ()
            case Refused():
                pass
    return revisions
