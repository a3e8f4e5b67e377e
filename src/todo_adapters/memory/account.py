"""What the memory store keeps for one user."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from itertools import islice, takewhile
from typing import NamedTuple, TypeVar

from todo_domain.changes import Tombstone
from todo_domain.changeset import Changeset
from todo_domain.errors import Gone, KeyReused, NotFound, Stale
from todo_domain.naming import Key
from todo_domain.ports import KEYS_KEPT, Once, purge_is_due, retention
from todo_domain.task import Task

_Change = TypeVar("_Change", Task, Tombstone)


class _Answer(NamedTuple):
    """What a key stands for. It makes the answer to a create again, beside the members of the repetition."""

    fingerprint: bytes
    task_id: int
    revision: int
    created_at: datetime


class Account:
    """What is kept for one user. `tasks` and `tombstones` are in ascending order of revision: each write appends.

    `ids` leads from a uid to the id of its task or tombstone.
    """

    __slots__ = ("answers", "horizon", "ids", "revision", "tasks", "tombstones")

    def __init__(self, begins: int = 0) -> None:
        self.revision = begins
        self.horizon = begins
        self.tasks: dict[int, Task] = {}
        self.tombstones: dict[int, Tombstone] = {}
        self.answers: dict[str, _Answer] = {}
        self.ids: dict[str, int] = {}

    def task(self, key: Key, expected: Collection[int] | None = None) -> Task:
        """Return the task at one of these revisions, None for any. Raises NotFound, Gone and Stale."""
        task_id = self.ids.get(key, 0) if isinstance(key, str) else key
        task = self.tasks.get(task_id)
        if task is None:
            if isinstance(key, str) and task_id:
                raise Gone(self.tombstones[task_id])
            raise NotFound
        if expected is not None and task.revision not in expected:
            raise Stale(task)
        return task

    def answer(self, once: Once, now: datetime) -> _Answer | None:
        """Return what the key stands for, None if it is new. Raises KeyReused."""
        answer = self.answers.get(once.key)
        if answer is None or answer.created_at <= now - KEYS_KEPT:
            return None
        if answer.fingerprint != once.fingerprint:
            raise KeyReused
        return answer

    def put(self, task: Task, *, now: datetime, once: Once | None) -> Task:
        """Keep a task that has the next revision, and return it."""
        self.tasks.pop(task.id, None)
        self.tasks[task.id] = task
        if task.uid is not None:
            self.ids[task.uid] = task.id
        self._advance(task.id, now, once)
        return task

    def remove(self, task: Task, *, now: datetime, once: Once | None) -> None:
        """Remove a task and leave its tombstone."""
        del self.tasks[task.id]
        self.tombstones[task.id] = Tombstone(task.id, task.uid, self.revision + 1, now)
        self._advance(task.id, now, once)

    def fits(self, changes: Changeset) -> bool:
        """Return whether everything that the changes depend on is still so."""
        return (
            changes.least <= len(self.tasks) <= changes.most
            and (self.revision == changes.revision or not changes.exact)
            and self.ids.keys().isdisjoint(changes.absent)
            and all(
                (task := self.tasks.get(id_)) is not None and task.revision == revision
                for id_, revision in changes.expected.items()
            )
        )

    def apply(self, changes: Changeset, ids: dict[str, int], *, now: datetime) -> None:
        """Keep the changes of a batch; `ids` are those of the tasks that it makes."""
        further = self.revision - changes.revision
        self.ids |= ids
        for task in changes.tasks:
            id_ = task.id or ids[task.uid or ""]
            self.tasks.pop(id_, None)
            self.tasks[id_] = task._replace(id=id_, revision=task.revision + further)
        for task in changes.deleted:
            id_ = task.id or ids[task.uid or ""]
            self.tasks.pop(id_, None)
            self.tombstones[id_] = Tombstone(id_, task.uid, task.revision + further, now)
        self.revision += changes.writes
        if purge_is_due(self.revision, changes.writes):
            self._purge(now)

    def _advance(self, task_id: int, now: datetime, once: Once | None) -> None:
        """Take the next revision, which is this task's, and remember the key of the write, if it has one."""
        self.revision += 1
        if once is not None:
            self.answers.pop(once.key, None)  # an expired one, which would keep its place in the order
            self.answers[once.key] = _Answer(once.fingerprint, task_id, self.revision, now)
        if purge_is_due(self.revision):
            self._purge(now)

    def _purge(self, now: datetime) -> None:
        keys_since, tombstones_since, kept, at_most = retention(now)
        beyond = len(self.answers) - kept
        for number, (key, answer) in enumerate(list(islice(self.answers.items(), at_most))):
            if number < beyond or answer.created_at <= keys_since:
                del self.answers[key]
        beyond = len(self.tombstones) - kept
        for number, tombstone in enumerate(list(islice(self.tombstones.values(), at_most))):
            if number < beyond or tombstone.deleted_at <= tombstones_since:
                del self.tombstones[tombstone.id]
                if tombstone.uid is not None:
                    del self.ids[tombstone.uid]
                self.horizon = max(self.horizon, tombstone.revision)


def after(since: int, kept: dict[int, _Change]) -> list[_Change]:
    """Return the tasks or tombstones of a later revision than `since`."""
    return list(takewhile(lambda change: change.revision > since, reversed(kept.values())))[::-1]
