"""The judge of the writes of one transaction: decides the result of each from the state that the earlier ones left.

The store reads a snapshot, the judge decides the writes one after the other, and the store applies all changes or none.
`settled` then puts the revisions and ids that the store assigned into the results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from todo_domain.changes import Tombstone
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.errors import Exists, Gone, QuotaReached, Stale
from todo_domain.naming import Key
from todo_domain.operations import Done, Result
from todo_domain.owner import UserId, first_counter, require_owned
from todo_domain.task import Task


class Plan(NamedTuple):
    """The result of each write, in order, and the changes for the store."""

    results: Sequence[Result]
    changes: Changeset


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


class Judge:
    """The state of one user's named tasks while the writes of a transaction are judged."""

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

    def _changeset(
        self, *, tombstones: Mapping[int, int], expected: Mapping[int, int], absent: Sequence[str], exact: bool
    ) -> Changeset:
        """Return the changes of the writes, under these conditions."""
        written = sorted({id(each): each for each in self._written.values()}.values(), key=attrgetter("revision"))
        return Changeset(
            revision=self._begun,
            writes=self._revision - self._begun,
            made=self._made,
            tasks=[each for each in written if isinstance(each, Task)],
            deleted=self._deleted,
            tombstones=tombstones,
            expected=expected,
            absent=absent,
            least=self._least,
            most=self._most,
            exact=exact,
        )

    def _admit(self) -> None:
        """Count one more task, or raise QuotaReached; record the task counts for which this decision holds."""
        grown = self._count - self._snapshot.task_count
        if self._count >= self._quota:
            self._least = max(self._least, self._quota - grown)
            raise QuotaReached(self._quota)
        self._most = min(self._most, self._quota - grown - 1)
        self._count += 1

    def _look_up(self, key: Key) -> Task | Tombstone | None:
        return self._written.get(key) or self._found.get(key)

    def _write(self, task: Task) -> Task:
        self._revision += 1
        task = task._replace(revision=self._revision)
        self._keep(self._written, task)
        return task

    @staticmethod
    def _keep(kept: dict[Key, Task | Tombstone], each: Task | Tombstone) -> None:
        """Store a task or tombstone under its keys; one that this transaction creates has no id yet."""
        if each.id:
            kept[each.id] = each
        if each.uid is not None:
            kept[each.uid] = each
