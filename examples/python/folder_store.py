"""A store of one's own: each user's tasks are one JSON file in a folder. It passes the contract of every store.

It is an example, written to be read: each call reads the user's whole file and each write writes it, while nothing else
runs. That is fast enough for a few users with a few hundred tasks.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec

from todo_domain import (
    Changes,
    Changeset,
    Created,
    Deadline,
    Exists,
    Gone,
    Kept,
    Key,
    KeyReused,
    Members,
    NotFound,
    Once,
    Page,
    Query,
    QuotaReached,
    Repeated,
    Snapshot,
    Stale,
    Task,
    Tombstone,
    Trashed,
    TrashPage,
    UserId,
)
from todo_domain.changes import page_of_changes, require_known
from todo_domain.feed import feed_query
from todo_domain.memory_budget import MemoryBudget, count
from todo_domain.owner import first_counter
from todo_domain.portability import Everything, everything_of
from todo_domain.query import select
from todo_domain.retention import KEYS_KEPT, Retention, purge_is_due, retention
from todo_domain.task import new_task
from todo_domain.trash import TRASH_KEPT, trash_since


class Remembered(msgspec.Struct):
    """A write with an Idempotency-Key. The members of a create and these four values give its answer again."""

    fingerprint: bytes
    task_id: int
    revision: int
    created_at: datetime


class Deleted(msgspec.Struct):
    """A task in the trash."""

    task: Task
    deleted_at: datetime


class Account(msgspec.Struct):
    """All data of one user, in ascending order of revision."""

    revision: int = 0
    horizon: int = 0
    tasks: list[Task] = []
    tombstones: list[Tombstone] = []
    trash: list[Deleted] = []
    keys: dict[str, Remembered] = {}
    feed: bytes | None = None

    def task(self, key: Key, expected: Collection[int] | None = None) -> Task:
        """Return a task by its id or its uid, at one of the expected revisions (None: any)."""
        task = next((task for task in self.tasks if key in (task.id, task.uid)), None)
        if task is None:
            for tombstone in self.tombstones:
                if tombstone.uid == key:
                    raise Gone(tombstone, restorable=any(each.task.id == tombstone.id for each in self.trash))
            raise NotFound
        if expected is not None and task.revision not in expected:
            raise Stale(task)
        return task

    def require_new(self, once: Once | None, now: datetime) -> None:
        """Raise Repeated or KeyReused if the key was used already."""
        key = self.keys.get(once.key) if once else None
        if once and key and key.created_at > now - KEYS_KEPT:
            raise Repeated if key.fingerprint == once.fingerprint else KeyReused

    def remember(self, once: Once | None, task_id: int, now: datetime) -> None:
        """Store the key of the next write."""
        if once:
            self.keys.pop(once.key, None)
            self.keys[once.key] = Remembered(once.fingerprint, task_id, self.revision + 1, now)

    def advance(self, now: datetime, trash_kept: timedelta) -> int:
        """Advance the counter, and purge if that is due."""
        self.revision += 1
        if purge_is_due(self.revision):
            self.purge(retention(now, trash_kept))
        return self.revision

    def purge(self, removed: Retention) -> None:
        """Remove the oldest keys and tombstones, and raise the horizon."""
        beyond = len(self.keys) - removed.kept
        for number, (name, key) in enumerate([*self.keys.items()][: removed.at_most]):
            if number < beyond or key.created_at <= removed.keys_since:
                del self.keys[name]
        beyond = len(self.tombstones) - removed.kept
        for number, tombstone in enumerate(self.tombstones[: removed.at_most]):
            if number < beyond or tombstone.deleted_at <= removed.tombstones_since:
                self.tombstones.remove(tombstone)
                self.trash = [each for each in self.trash if each.task.id != tombstone.id]
                self.horizon = max(self.horizon, tombstone.revision)
        beyond = len(self.trash) - removed.trashed
        for number, deleted in enumerate(self.trash[: removed.at_most]):
            if number < beyond or deleted.deleted_at <= removed.trash_since:
                self.trash.remove(deleted)

    def fits(self, changes: Changeset, counter: int) -> bool:
        """Return whether all preconditions of a batch's changes still hold; `counter` is the user's."""
        revisions = {task.id: task.revision for task in self.tasks}
        uids = {task.uid for task in self.tasks} | {tombstone.uid for tombstone in self.tombstones}
        return (
            changes.least <= len(self.tasks) <= changes.most
            and self.horizon <= changes.revision
            and (counter == changes.revision or not changes.exact)
            and all(revisions.get(id_) == revision for id_, revision in changes.expected.items())
            and changes.tombstones.items() <= {each.id: each.revision for each in self.tombstones}.items()
            and {each.task.id for each in self.trash}.issuperset(changes.restored)
            and uids.isdisjoint(changes.absent)
        )

    def apply(self, changes: Changeset, ids: dict[str, int], now: datetime, trash_kept: timedelta) -> None:
        """Apply the changes of a batch; `ids` are the ids of the tasks that it creates."""
        further = self.revision - changes.revision
        tasks = [
            task._replace(id=task.id or ids[task.uid or ""], revision=task.revision + further) for task in changes.tasks
        ]
        deleted = [
            task._replace(id=task.id or ids[task.uid or ""], revision=task.revision + further)
            for task in changes.deleted
        ]
        self.tombstones = [each for each in self.tombstones if each.id not in changes.tombstones]
        self.trash = [each for each in self.trash if each.task.id not in changes.tombstones]
        touched = {task.id for task in (*tasks, *deleted)}
        self.tasks = [*(task for task in self.tasks if task.id not in touched), *tasks]
        for task in deleted:
            self.bury(task, now, trash_kept)
        self.revision += changes.writes
        if purge_is_due(self.revision, changes.writes):
            self.purge(retention(now, trash_kept))

    def bury(self, task: Task, now: datetime, trash_kept: timedelta) -> None:
        """Insert the tombstone of a task, and put the task into the trash, if it is on."""
        self.tombstones.append(Tombstone(task.id, task.uid, task.revision, now))
        if trash_kept:
            self.trash.append(Deleted(task, now))

    def trashed(self, key: Key, since: datetime) -> Deleted:
        """Return a task in the trash that was deleted after `since`, by its id or its uid."""
        for each in self.trash:
            if key in (each.task.id, each.task.uid) and each.deleted_at > since:
                return each
        raise NotFound

    def put(self, task: Task, now: datetime, trash_kept: timedelta) -> Task:
        """Store a task with the next revision, in place of the one with its id."""
        task = task._replace(revision=self.advance(now, trash_kept))
        self.tasks = [*(one for one in self.tasks if one.id != task.id), task]
        return task


class FolderTasks:
    """The port `Tasks` over a folder, for one machine; several processes may share it.

    A coroutine here never waits, so no other call in this process runs within it, and it cannot be cancelled halfway.
    Between processes, a lock on a file does the same.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def open(self) -> None:
        """Make the folder."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    async def create(
        self,
        owner: UserId,
        members: Members,
        *,
        now: datetime,
        quota: int,
        once: Once | None,
        uid: str | None = None,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Created:
        """Store a new task."""
        with self._writing(owner) as account:
            if uid is not None:
                account.require_new(once, now)
            key = account.keys.get(once.key) if once else None
            if once and key and key.created_at > now - KEYS_KEPT:
                if key.fingerprint != once.fingerprint:
                    raise KeyReused
                first = new_task(members, id=key.task_id, owner=owner, revision=key.revision, now=key.created_at)
                return Created(first, replayed=True)
            if uid is not None:
                with suppress(NotFound):
                    raise Exists(account.task(uid))
            if len(account.tasks) >= quota:
                raise QuotaReached(quota)
            if account.revision == 0:
                account.revision = account.horizon = first_counter(now)
            task_id = self._next_id()
            account.remember(once, task_id, now)
            new = new_task(members, id=task_id, uid=uid, owner=owner, revision=0, now=now)
            return Created(account.put(new, now, trash_kept), replayed=False)

    async def get(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        """Return the task."""
        return self._read(owner).task(key)

    async def page(
        self,
        owner: UserId,
        query: Query,
        *,
        unless: int | None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        """Return the page of the query."""
        account = self._read(owner)
        tasks, more = select(account.tasks, query)
        count(tasks, budget)
        return Page([] if unless == account.revision else tasks, account.revision, more)

    async def get_once(
        self, owner: UserId, key: Key, once: Once, *, now: datetime, deadline: Deadline | None = None
    ) -> Task:
        """Return the task for a write whose key was not used yet."""
        account = self._read(owner)
        account.require_new(once, now)
        return account.task(key)

    async def replace(
        self,
        owner: UserId,
        edited: Task,
        *,
        now: datetime,
        once: Once | None = None,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Task:
        """Replace the task by `edited` if it is at `edited.revision`."""
        with self._writing(owner) as account:
            account.require_new(once, now)
            account.task(edited.id, expected={edited.revision})
            account.remember(once, edited.id, now)
            return account.put(edited, now, trash_kept)

    async def toggle(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        once: Once | None = None,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Task:
        """Complete an open task or reopen a complete one."""
        with self._writing(owner) as account:
            account.require_new(once, now)
            toggled = account.task(key).toggled(now)
            account.remember(once, toggled.id, now)
            return account.put(toggled, now, trash_kept)

    async def delete(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        expected: Collection[int] | None,
        once: Once | None = None,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> None:
        """Move the task to the trash and insert a tombstone."""
        with self._writing(owner) as account:
            account.require_new(once, now)
            task = account.task(key, expected)
            account.remember(once, task.id, now)
            account.tasks.remove(task)
            account.bury(task._replace(revision=account.revision + 1), now, trash_kept)
            account.advance(now, trash_kept)

    async def snapshot(self, owner: UserId, keys: Collection[Key], *, deadline: Deadline | None = None) -> Snapshot:
        """Return the snapshot for a batch of these keys."""
        account = self._read(owner)
        tasks = [task for task in account.tasks if task.id in keys or task.uid in keys]
        trashed = {each.task.id: each.task for each in account.trash if {each.task.id, each.task.uid} & set(keys)}
        tombstones = [each for each in account.tombstones if each.uid in keys or each.id in trashed]
        return Snapshot(account.revision, account.horizon, len(account.tasks), tasks, tombstones, trashed)

    async def apply(
        self,
        owner: UserId,
        changes: Changeset,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Kept | None:
        """Apply all the changes of a batch, unless a precondition no longer holds."""
        with self._writing(owner) as account:
            if not account.fits(changes, account.revision or first_counter(now)):
                return None
            if account.revision == 0:
                account.revision = account.horizon = first_counter(now)
            begun, ids = account.revision, {uid: self._next_id() for uid in changes.made}
            account.apply(changes, ids, now, trash_kept)
            return Kept(begun, ids)

    async def changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        """Return the changes after `since`."""
        account = self._read(owner)
        require_known(since, revision=account.revision, horizon=account.horizon)
        if since == 0:
            changes = Changes(account.tasks, [], account.revision, has_more=False)
        else:
            tasks = [task for task in account.tasks if task.revision > since]
            deleted = [tombstone for tombstone in account.tombstones if tombstone.revision > since]
            changes = page_of_changes(tasks, deleted, counter=account.revision, limit=limit)
        count(changes.tasks, budget)
        return changes

    async def erase(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        """Remove all data of the owner except the counter, which advances."""
        with self._writing(owner) as account:
            account.feed = None
            if account.revision:
                account.revision = account.horizon = account.revision + 1
                account.tasks, account.tombstones, account.trash, account.keys = [], [], [], {}

    async def trash(
        self,
        owner: UserId,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        limit: int | None = None,
        before: int | None = None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> TrashPage:
        """Return a page of the trash."""
        since = trash_since(now, trash_kept)
        found = [
            Trashed(each.task, each.deleted_at, each.deleted_at + trash_kept)
            for each in reversed(self._read(owner).trash)
            if each.deleted_at > since and (before is None or each.task.revision < before)
        ]
        page = found[:limit]
        count((each.task for each in page), budget)
        return TrashPage(page, more=len(found) > len(page))

    async def export(
        self,
        owner: UserId,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Everything:
        """Return all data of the owner."""
        account = self._read(owner)
        trash = (await self.trash(owner, now=now, trash_kept=trash_kept)).trashed
        return everything_of(account.tasks, trash, account.revision, now, budget)

    async def restore(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        quota: int,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Task:
        """Restore a task from the trash."""
        with self._writing(owner) as account:
            with suppress(NotFound, Gone):
                return account.task(key)
            deleted = account.trashed(key, trash_since(now, trash_kept))
            if len(account.tasks) >= quota:
                raise QuotaReached(quota)
            task = deleted.task
            account.trash.remove(deleted)
            account.tombstones = [each for each in account.tombstones if each.id != task.id]
            return account.put(task._replace(updated_at=max(task.updated_at, now)), now, trash_kept)

    async def discard(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> None:
        """Remove a task from the trash for good."""
        with self._writing(owner) as account:
            account.trash.remove(account.trashed(key, trash_since(now, trash_kept)))

    async def empty_trash(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        """Remove all tasks from the trash for good."""
        with self._writing(owner) as account:
            account.trash = []

    async def make_feed(self, owner: UserId, digest: bytes, *, now: datetime, deadline: Deadline | None = None) -> None:
        """Keep the digest of a feed's token."""
        with self._writing(owner) as account:
            account.feed = digest

    async def end_feed(self, owner: UserId, *, deadline: Deadline | None = None) -> bool:
        """Forget the digest."""
        with self._writing(owner) as account:
            ended, account.feed = account.feed is not None, None
            return ended

    async def feed(
        self,
        owner: UserId,
        digest: bytes,
        *,
        unless: int | None,
        limit: int | None = None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        """Return the open tasks with a due date."""
        account = self._read(owner)
        if account.feed != digest:
            raise NotFound
        due, more = select(account.tasks, feed_query(limit))
        count(due, budget)
        return Page([] if unless == account.revision else due, account.revision, more)

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return, because a folder is always available."""

    def _file(self, owner: UserId) -> Path:
        return self._folder / sha256(owner.encode()).hexdigest()

    def _read(self, owner: UserId) -> Account:
        file = self._file(owner)
        return msgspec.json.decode(file.read_bytes(), type=Account) if file.exists() else Account()

    @contextmanager
    def _writing(self, owner: UserId) -> Iterator[Account]:
        """Yield the user's account under the lock, and store it unless an error is raised or nothing changed."""
        with (self._folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            account = self._read(owner)
            before = msgspec.json.encode(account)
            yield account
            if (after := msgspec.json.encode(account)) != before:
                self._write(self._file(owner), after)

    def _next_id(self) -> int:
        """Return a new id, after writing it to disk, so that no id is ever assigned twice."""
        file = self._folder / "last-id"
        taken = int(file.read_text()) + 1 if file.exists() else 1
        self._write(file, str(taken).encode())
        return taken

    def _write(self, file: Path, content: bytes) -> None:
        """Replace a file atomically: after a crash it is the old one or the new one."""
        new = file.with_suffix(".new")
        with new.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        new.rename(file)
