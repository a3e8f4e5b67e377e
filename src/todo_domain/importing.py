"""An import: which task an entry of a file is, and what the entry changes in a snapshot of the user's tasks.

An entry of the file is the user's task with its uid. Without a uid, it is the task of the same id and `created_at`, if
the file is the user's own. Otherwise it is a new task, whose uid is computed from the file. So a second import of the
same file changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, NamedTuple

from todo_domain.changes import Tombstone
from todo_domain.changeset import Snapshot
from todo_domain.errors import ErasedMeanwhile, Invalid, TodoError
from todo_domain.instants import instant_of_text, text_of_instant
from todo_domain.judging import Judge, Plan
from todo_domain.naming import Key, checked_uid
from todo_domain.operations import Done, Result
from todo_domain.owner import LARGEST_ID, UserId
from todo_domain.task import Members, Task, check_new, completions, new_task
from todo_domain.trash import TRASH_KEPT, trash_since

Outcome = Literal["created", "updated", "unchanged"] | TodoError
"""The outcome of an entry. A task that comes back from the trash is created. An error is the reason of a skip."""


class Entry(NamedTuple):
    """A task of a file. `members` are the result of `check_new`; None is a member that the file does not have."""

    members: Members
    uid: str | None
    id: int | None
    created_at: datetime | None
    completed_at: datetime | None


class Import:
    """An import in progress: the user of the file, and the ids of the tasks that had an entry so far."""

    def __init__(self, source: UserId) -> None:
        self.source = source
        self.named: set[int] = set()
        self._counter = 0  # the importing user's, as the last step left it

    def go_on(self, snapshot: Snapshot) -> None:
        """Raise ErasedMeanwhile if the importing user's data was erased after an earlier step or an earlier snapshot.

        Only erasing the user, and `todo renew`, raise the horizon above a counter that was seen.
        """
        if 0 < self._counter < snapshot.horizon:
            raise ErasedMeanwhile
        self._counter = snapshot.revision

    def done(self, ids: Iterable[int], counter: int | None) -> None:
        """Remember the ids of the tasks of a step, and the counter that it left, None if it wrote nothing."""
        self.named.update(ids)
        self._counter = self._counter if counter is None else counter


def entry_of(members: Members, *, uid: object, id: object, created_at: object, completed_at: object) -> Entry:
    """Return the entry, or raise Invalid for a value that breaks a rule. None counts as absent.

    Without a uid, `id` and `created_at` are required. A task with a `completed_at` is complete.
    """
    completed = None if completed_at is None else instant_of_text("completed_at", completed_at)
    if completed is not None and not completions(members):
        members = {**members, "completed": True}
    members = check_new(members)
    if completed is not None and False in completions(members):
        raise Invalid("completed_at", "must be null while the task is open")
    created = None if created_at is None else instant_of_text("created_at", created_at)
    if id is not None and (type(id) is not int or not 0 < id <= LARGEST_ID):
        raise Invalid("id", "must be an integer from 1 to 2^53-1")
    if uid is not None:
        return Entry(members, checked_uid("uid", uid, or_id=False), id, created, completed)
    for name, value in (("id", id), ("created_at", created)):
        if value is None:
            raise Invalid(name, "is required where there is no uid")
    return Entry(members, None, id, created, completed)


def uid_of(entry: Entry, source: UserId) -> str:
    """Return the uid under which the task of the entry is found, or made."""
    return derived_uid(source, entry.id, entry.created_at) if entry.uid is None else entry.uid


def derived_uid(user: UserId, id: int | None, created_at: datetime | None) -> str:
    """Return the uid that a task without one gets when an export of this user is imported elsewhere.

    No other task has it, in this deployment or in another, and `todo copy` does not change it.
    """
    created = "" if created_at is None else text_of_instant(created_at)
    return "import-" + sha256(f"{user}\0{id}\0{created}".encode()).hexdigest()[:40]


def keys_of_entries(entries: Sequence[Entry], source: UserId, owner: UserId) -> list[Key]:
    """Return the keys for the snapshot of these entries, each once."""
    keys: dict[Key, None] = {}
    for entry in entries:
        keys[uid_of(entry, source)] = None
        if (id_ := _own_id(entry, source, owner)) is not None:
            keys[id_] = None
    return list(keys)


def plan_import(
    entries: Sequence[Entry],
    snapshot: Snapshot,
    *,
    source: UserId,
    named: Collection[int],
    owner: UserId,
    quota: int,
    now: datetime,
    trash_kept: timedelta = TRASH_KEPT,
) -> Plan:
    """Judge the entries in order; `named` are the tasks that had an entry in earlier steps. Nothing is read or written.

    Raises nothing: the error of an entry that is skipped is its result.
    """
    judge = _ImportJudge(snapshot, owner=owner, quota=quota, now=now, trash_since=trash_since(now, trash_kept))
    return judge.plan(entries, source, named)


def outcome_of(result: Result, begun: int) -> Outcome:
    """Return the outcome of an entry; `begun` is the counter before its plan."""
    if not isinstance(result, Done):
        return result
    if result.created:
        return "created"
    return "updated" if result.task is not None and result.task.revision > begun else "unchanged"


class _ImportJudge(Judge):
    """The judge of a step of an import."""

    def plan(self, entries: Sequence[Entry], source: UserId, named: Collection[int]) -> Plan:
        self._source = source
        self._named: set[Key] = set(named)
        self._tombstones: dict[int, int] = {}
        self._expected: dict[int, int] = {}
        self._absent: list[str] = []
        results = [self._result(entry) for entry in entries]
        changes = self._changeset(
            tombstones=self._tombstones, expected=self._expected, absent=self._absent, exact=False
        )
        return Plan(results, changes)

    def _result(self, entry: Entry) -> Result:
        try:
            found = self._match(entry)
            task = self._trashed(found) if isinstance(found, Tombstone) else found
            if task is not None and (task.id or task.uid) in self._named:
                # Otherwise each import would apply the one entry, then the other.
                raise Invalid("id" if entry.uid is None else "uid", "is that of an earlier task in the file")
            if isinstance(found, Task):
                task, created = self._edit(found, entry), False
            else:
                self._admit()
                if found is not None:
                    self._tombstones[found.id] = found.revision
                task, created = self._new(entry, found) if task is None else self._back(task, entry), True
            self._named.add(task.id or task.uid or "")
            return Done(task, created)
        except TodoError as error:
            return error.without_frames()

    def _match(self, entry: Entry) -> Task | Tombstone | None:
        """Return the task of the entry, or its tombstone if it is deleted."""
        id_ = _own_id(entry, self._source, self._owner)
        there = None if id_ is None else self._look_up(id_)
        task = self._trashed(there) if isinstance(there, Tombstone) else there
        if task is not None and task.created_at == entry.created_at:
            return there
        return self._look_up(uid_of(entry, self._source))

    def _trashed(self, tombstone: Tombstone) -> Task | None:
        """Return the task of the tombstone, if the trash holds it and it has not expired."""
        return self._snapshot.trashed.get(tombstone.id) if tombstone.deleted_at > self._trash_since else None

    def _edit(self, task: Task, entry: Entry) -> Task:
        edited = self._edited(task, entry)
        if edited == task:
            return task
        self._expected[task.id] = task.revision
        return self._write_now(edited)

    def _back(self, task: Task, entry: Entry) -> Task:
        """Put the task back from the trash."""
        return self._write_now(self._edited(task, entry))

    def _edited(self, task: Task, entry: Entry) -> Task:
        return _with_times(entry, task.edited(entry.members, self._now), self._now)

    def _write_now(self, task: Task) -> Task:
        return self._write(task._replace(updated_at=max(task.updated_at, self._now)))

    def _new(self, entry: Entry, tombstone: Tombstone | None) -> Task:
        """Make a new task; it replaces the tombstone if there is one."""
        uid = uid_of(entry, self._source)
        if tombstone is None:
            self._absent.append(uid)
        self._made.append(uid)
        task = new_task(entry.members, id=0, uid=uid, owner=self._owner, revision=0, now=self._now)
        return self._write(_with_times(entry, task, self._now))


def _own_id(entry: Entry, source: UserId, owner: UserId) -> int | None:
    """Return the id under which the task of the entry may be found: only without a uid, and in the user's own file."""
    return entry.id if entry.uid is None and source == owner else None


def _with_times(entry: Entry, task: Task, now: datetime) -> Task:
    """Return the task with the times of the file, except those in the future."""
    if entry.created_at is not None and entry.created_at <= now:
        task = task._replace(created_at=entry.created_at)
    if task.completed and entry.completed_at is not None and entry.completed_at <= now:
        task = task._replace(completed_at=entry.completed_at)
    return task
