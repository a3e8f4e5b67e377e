"""A batch: operations on several tasks of one user, and what they do to a snapshot of these tasks.

The store reads a snapshot; `plan` judges the operations one after the other, as if each were a request of its own; the
store applies the changes, all or none. `settled` then adds the revisions and ids that the store assigned.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from todo_domain.changes import Tombstone
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.errors import Exists, Gone, NotFound, QuotaReached, Stale, TodoError
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
from todo_domain.owner import UserId, first_counter, require_owned
from todo_domain.put import Put, checked_put, judge_put
from todo_domain.task import Task, at_revision, check
from todo_domain.trash import TRASH_KEPT, trash_since


class Plan(NamedTuple):
    """The result of each operation, in order, and the changes for the store."""

    results: Sequence[Result]
    changes: Changeset


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
    judge = _Judge(snapshot, owner=owner, quota=quota, now=now, trash_since=trash_since(now, trash_kept))
    results = [judge.result(operation) for operation in operations]
    return Plan(results, judge.changes(operations))


def first_failure(plan: Plan, snapshot: Snapshot) -> OperationFailed | None:
    """Return the error for an atomic batch to raise, None if every operation succeeds.

    The error has the task without the changes of the batch.
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


def settled(plan: Plan, kept: Kept) -> list[Result]:
    """Return the results with the revisions and ids that the store assigned."""
    begun = plan.changes.revision

    def task_of(task: Task) -> Task:
        if task.revision <= begun:
            return task
        id_ = task.id or kept.ids[task.uid or ""]
        return task._replace(id=id_, revision=task.revision - begun + kept.revision)

    def tombstone_of(tombstone: Tombstone) -> Tombstone:
        if tombstone.revision <= begun:
            return tombstone
        id_ = tombstone.id or kept.ids[tombstone.uid or ""]
        return tombstone._replace(id=id_, revision=tombstone.revision - begun + kept.revision)

    def result_of(result: Result) -> Result:
        match result:
            case Done(task=Task() as task):
                return result._replace(task=task_of(task))
            case Stale():
                return Stale(task_of(result.current))
            case Exists():
                return Exists(task_of(result.current))
            case Gone():
                return Gone(tombstone_of(result.deleted), restorable=result.restorable)
            case _:
                return result

    return [result_of(result) for result in plan.results]


def _shown(error: TodoError) -> Task | Tombstone | None:
    match error:
        case Stale() | Exists():
            return error.current
        case Gone():
            return error.deleted
        case _:
            return None


class _Judge:
    """The state of one user's named tasks while the operations of a batch are judged."""

    def __init__(self, snapshot: Snapshot, *, owner: UserId, quota: int, now: datetime, trash_since: datetime) -> None:
        self._snapshot = snapshot
        self._owner = owner
        self._quota = quota
        self._now = now
        self._trash_since = trash_since
        self._begun = snapshot.revision or first_counter(now)
        self._revision = self._begun
        self._count = snapshot.task_count
        self._least, self._most = 0, max(quota, snapshot.task_count)
        self._made: list[str] = []
        self._deleted: list[Task] = []
        self._written: dict[Key, Task | Tombstone] = {}
        self._found: dict[Key, Task | Tombstone] = {}
        for task in snapshot.tasks:
            self._keep(self._found, require_owned(owner, task))
        for tombstone in snapshot.tombstones:
            self._keep(self._found, tombstone)

    def result(self, operation: Operation) -> Result:
        """Do an operation, and return its result."""
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
            return error

    def changes(self, operations: Sequence[Operation]) -> Changeset:
        """Return the changes of the operations that were done."""
        written = sorted({id(each): each for each in self._written.values()}.values(), key=attrgetter("revision"))
        named = keys_of(operations)
        return Changeset(
            revision=self._begun,
            writes=self._revision - self._begun,
            made=self._made,
            tasks=[each for each in written if isinstance(each, Task)],
            deleted=self._deleted,
            tombstones={},
            expected={task.id: task.revision for task in self._snapshot.tasks},
            absent=[key for key in named if isinstance(key, str) and key not in self._found],
            least=self._least,
            most=self._most,
            exact=any(self._begun < revision <= self._begun + len(operations) for revision in _conditions(operations)),
        )

    def _put(self, key: Key, put: Put) -> Done:
        put = checked_put(put)
        if isinstance(key, str) and put.may_create:
            judge_put(
                put, None, owner=self._owner, key=key, now=self._now
            )  # whether a PUT is 400 depends on the PUT alone
        found = self._look_up(key)
        task = judge_put(put, found, owner=self._owner, key=key, now=self._now)
        if isinstance(found, Task):
            return Done(self._edit(found, task))
        self._admit()
        self._made.append(str(key))
        self._count += 1
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

    def _admit(self) -> None:
        """Check the quota for one more task, or raise QuotaReached; record for which task counts this result holds."""
        grown = self._count - self._snapshot.task_count
        if self._count >= self._quota:
            self._least = max(self._least, self._quota - grown)
            raise QuotaReached(self._quota)
        self._most = min(self._most, self._quota - grown - 1)

    def _task(self, key: Key) -> Task:
        found = self._look_up(key)
        if isinstance(found, Task):
            return found
        if found is not None and isinstance(key, str):
            raise Gone(found)
        raise NotFound

    def _look_up(self, key: Key) -> Task | Tombstone | None:
        return self._written.get(key) or self._found.get(key)

    def _write(self, task: Task) -> Task:
        self._revision += 1
        task = task._replace(revision=self._revision)
        self._keep(self._written, task)
        return task

    @staticmethod
    def _keep(kept: dict[Key, Task | Tombstone], each: Task | Tombstone) -> None:
        """Store a task or tombstone under its keys; one that the batch creates has no id yet."""
        if each.id:
            kept[each.id] = each
        if each.uid is not None:
            kept[each.uid] = each


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
