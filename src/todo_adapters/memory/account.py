"""The data of one user in the memory store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import NamedTuple, TypeVar

from todo_domain.changes import Tombstone
from todo_domain.changeset import Changeset
from todo_domain.errors import Gone, KeyReused, NotFound, QuotaReached, Stale
from todo_domain.naming import Key
from todo_domain.ports import Once
from todo_domain.retention import KEYS_KEPT, purge_is_due, retention
from todo_domain.task import Task
from todo_domain.trash import trash_since

_Change = TypeVar("_Change", Task, Tombstone)


class _Remembered(NamedTuple):
    """The write done under a key. With the members of a repeated create, it gives the same result again."""

    fingerprint: bytes
    task_id: int
    revision: int
    created_at: datetime


class Account:
    """The data of one user. `tasks` and `tombstones` are in ascending order of revision, because each write appends.

    `ids` maps a uid to the id of its task or tombstone. `trash` is in the order of deletion; each task in it has a
    tombstone.
    """

    __slots__ = ("horizon", "ids", "remembered", "revision", "tasks", "tombstones", "trash")

    def __init__(self, begins: int = 0) -> None:
        self.revision = begins
        self.horizon = begins
        self.tasks: dict[int, Task] = {}
        self.tombstones: dict[int, Tombstone] = {}
        self.trash: dict[int, Task] = {}
        self.remembered: dict[str, _Remembered] = {}
        self.ids: dict[str, int] = {}

    def task(self, key: Key, expected: Collection[int] | None = None) -> Task:
        """Return the task if it is at one of the `expected` revisions (None: any). Raises NotFound, Gone and Stale."""
        task_id = self.ids.get(key, 0) if isinstance(key, str) else key
        task = self.tasks.get(task_id)
        if task is None:
            if isinstance(key, str) and task_id:
                raise Gone(self.tombstones[task_id], restorable=task_id in self.trash)
            raise NotFound
        if expected is not None and task.revision not in expected:
            raise Stale(task)
        return task

    def remembered_write(self, once: Once, now: datetime) -> _Remembered | None:
        """Return the write that was done under the key, None if the key is new. Raises KeyReused."""
        remembered_write = self.remembered.get(once.key)
        if remembered_write is None or remembered_write.created_at <= now - KEYS_KEPT:
            return None
        if remembered_write.fingerprint != once.fingerprint:
            raise KeyReused
        return remembered_write

    def put(self, task: Task, *, now: datetime, once: Once | None, trash_kept: timedelta) -> Task:
        """Store a task with the next revision, and return it."""
        self.tasks.pop(task.id, None)
        self.tasks[task.id] = task
        if task.uid is not None:
            self.ids[task.uid] = task.id
        self._advance(task.id, now, once, trash_kept)
        return task

    def remove(self, task: Task, *, now: datetime, once: Once | None, trash_kept: timedelta) -> None:
        """Move a task to the trash, if it is on, and insert its tombstone."""
        self._insert_tombstone(task._replace(revision=self.revision + 1), now, trash_kept)
        self._advance(task.id, now, once, trash_kept)

    def restore(self, key: Key, *, now: datetime, quota: int, trash_kept: timedelta) -> Task:
        """Restore a task from the trash. Raises NotFound and QuotaReached."""
        task = self.trash[self.trashed(key, trash_since(now, trash_kept)).id]
        if len(self.tasks) >= quota:
            raise QuotaReached(quota)
        del self.trash[task.id], self.tombstones[task.id]
        restored = task._replace(revision=self.revision + 1, updated_at=max(task.updated_at, now))
        return self.put(restored, now=now, once=None, trash_kept=trash_kept)

    def trashed(self, key: Key, since: datetime) -> Tombstone:
        """Return the tombstone of a task in the trash that was deleted after `since`, or raise NotFound."""
        task_id = self.ids.get(key, 0) if isinstance(key, str) else key
        if task_id not in self.trash or self.tombstones[task_id].deleted_at <= since:
            raise NotFound
        return self.tombstones[task_id]

    def fits(self, changes: Changeset) -> bool:
        """Return whether all preconditions of the changes still hold."""
        return (
            changes.least <= len(self.tasks) <= changes.most
            and self.horizon <= changes.revision
            and (self.revision == changes.revision or not changes.exact)
            and self.ids.keys().isdisjoint(changes.absent)
            and _are_at(changes.expected, self.tasks)
            and _are_at(changes.tombstones, self.tombstones)
            and self.trash.keys() >= set(changes.restored)
        )

    def apply(self, changes: Changeset, ids: dict[str, int], *, now: datetime, trash_kept: timedelta) -> None:
        """Apply the changes of a batch; `ids` are the ids of the tasks that it creates."""
        further = self.revision - changes.revision
        for id_ in changes.tombstones:
            self._forget(self.tombstones[id_])
        self.ids |= ids
        for task in changes.tasks:
            id_ = task.id or ids[task.uid or ""]
            self.tasks.pop(id_, None)
            self.tasks[id_] = task._replace(id=id_, revision=task.revision + further)
            if task.uid is not None:
                self.ids[task.uid] = id_
        for task in changes.deleted:
            id_ = task.id or ids[task.uid or ""]
            self._insert_tombstone(task._replace(id=id_, revision=task.revision + further), now, trash_kept)
        self.revision += changes.writes
        if purge_is_due(self.revision, changes.writes):
            self._purge(now, trash_kept)

    def _forget(self, tombstone: Tombstone) -> None:
        del self.tombstones[tombstone.id]
        self.trash.pop(tombstone.id, None)
        if tombstone.uid is not None:
            del self.ids[tombstone.uid]

    def _insert_tombstone(self, task: Task, now: datetime, trash_kept: timedelta) -> None:
        self.tasks.pop(task.id, None)
        self.tombstones[task.id] = Tombstone(task.id, task.uid, task.revision, now)
        if trash_kept:
            self.trash[task.id] = task

    def _advance(self, task_id: int, now: datetime, once: Once | None, trash_kept: timedelta) -> None:
        """Advance the counter to this task's revision, and store the key of the write, if it has one."""
        self.revision += 1
        if once is not None:
            self.remembered.pop(once.key, None)  # an expired key would keep its place in the order
            self.remembered[once.key] = _Remembered(once.fingerprint, task_id, self.revision, now)
        if purge_is_due(self.revision):
            self._purge(now, trash_kept)

    def _purge(self, now: datetime, trash_kept: timedelta) -> None:
        due = retention(now, trash_kept)
        beyond = len(self.remembered) - due.kept
        for number, (key, remembered_write) in enumerate(list(islice(self.remembered.items(), due.at_most))):
            if number < beyond or remembered_write.created_at <= due.keys_since:
                del self.remembered[key]
        beyond = len(self.trash) - due.trashed
        for number, task_id in enumerate(list(islice(self.trash, due.at_most))):
            if number < beyond or self.tombstones[task_id].deleted_at <= due.trash_since:
                del self.trash[task_id]
        beyond = len(self.tombstones) - due.kept
        for number, tombstone in enumerate(list(islice(self.tombstones.values(), due.at_most))):
            if number < beyond or tombstone.deleted_at <= due.tombstones_since:
                self._forget(tombstone)
                self.horizon = max(self.horizon, tombstone.revision)


def after(since: int, kept: dict[int, _Change]) -> list[_Change]:
    """Return the tasks or tombstones with a later revision than `since`."""
    return list(takewhile(lambda change: change.revision > since, reversed(kept.values())))[::-1]


def _are_at(revisions: Mapping[int, int], kept: Mapping[int, _Change]) -> bool:
    """Return whether each of these tasks or tombstones is there, and at this revision."""
    return all(id_ in kept and kept[id_].revision == revision for id_, revision in revisions.items())
