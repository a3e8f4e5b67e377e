"""The ports of the service. Each docstring is the contract of the adapters."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from todo_domain.changes import Changes
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.deadline import Deadline
from todo_domain.feed import Feeds
from todo_domain.memory_budget import MemoryBudget
from todo_domain.naming import Key
from todo_domain.owner import UserId
from todo_domain.portability import Everything
from todo_domain.query import Page, Query
from todo_domain.task import Members, Task
from todo_domain.trash import TRASH_KEPT, TrashPage

Clock = Callable[[], datetime]
"""Returns the present time as an aware datetime in UTC."""


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


class Once(NamedTuple):
    """The identity of a repeated write: the caller's key, and a digest of the request."""

    key: str
    fingerprint: bytes


class Created(NamedTuple):
    """The result of a create: the task as it was created, and whether that happened earlier."""

    task: Task
    replayed: bool


class Written(NamedTuple):
    """The result of a PUT: the present task, and whether the PUT created it."""

    task: Task
    created: bool


class Tasks(Feeds, Protocol):
    """A store of tasks.

    * Every method takes the owner first and accesses only the owner's data.
    * Every write is atomic: after an error, a crash or a cancellation it has happened wholly or not at all.
    * Every write that changes something advances the owner's counter by exactly one (`apply` by one for each of its
      `writes`), and the task or tombstone carries the new value. A reader of the counter also sees every change up to
      it.
    * `updated_at` never goes back, even if the clock does.
    * A write with `once` that changes something remembers the key, the task and its new revision in the same
      transaction. If the owner used the key in the last KEYS_KEPT, nothing is written: Repeated is raised, or KeyReused
      if the fingerprint differs. Racing callers wait for each other. But `create` without a uid returns its first
      result again.
    * A deleted task stays in the trash for `trash_kept`, with its tombstone; 0 turns the trash off. Expired tasks are
      hidden from readers at once; a write that purges removes them. A row of the trash is removed with its tombstone.
    * `restorable` of Gone is true if the trash has the task, expired or not.
    * A store that cannot answer by the `deadline` (without one: within RESPOND_WITHIN) raises Unavailable then, with
      `outcome_unknown` if a write's outcome is unknown. It does not begin a call that it cannot finish in time.
    """

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
        """Store a new task with an id that no task ever had. `members` are the result of `check_new`.

        With a `uid`, racing callers create one task: Exists is raised if the owner has a task of that uid, and Gone if
        there is a tombstone of it.

        With `once`: if the owner used the key in the last KEYS_KEPT, nothing is written and the first response is
        returned again, also beyond the quota; KeyReused is raised if the fingerprint differs. Racing callers wait for
        each other. Raises QuotaReached if the owner has `quota` tasks.
        """

    async def get(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        """Return the task. Raises NotFound, and Gone if the key is a uid with a tombstone."""

    async def page(
        self,
        owner: UserId,
        query: Query,
        *,
        unless: int | None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        """Return the same as `todo_domain.query.select`, with the counter of the same snapshot.

        If that counter is `unless`, the tasks may be left out, because the caller has them. `budget`, if there is one,
        counts the tasks while they are read, and its BudgetExceeded ends the read. Calls without a budget and with a
        `short` query are not held up by others.
        """

    async def get_once(
        self, owner: UserId, key: Key, once: Once, *, now: datetime, deadline: Deadline | None = None
    ) -> Task:
        """Do the same as `get` for a write with `once`: raise Repeated or KeyReused if the key was used already."""

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
        """Replace the task by `edited` if it is at `edited.revision`; return it with its new revision.

        Raises NotFound if the task does not exist, and Stale with the current task if it is at another revision.
        """

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
        """Complete an open task or reopen a complete one, and return it. No toggle is ever lost.

        Raises the errors of `get`.
        """

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
        """Move the task to the trash, insert a tombstone with its uid, and decrease the number of tasks.

        Without `trash_kept`, the task is removed for good.

        Raises the errors of `get`, and Stale if the task's revision is not in `expected` (None: any).
        """

    async def snapshot(self, owner: UserId, keys: Collection[Key], *, deadline: Deadline | None = None) -> Snapshot:
        """Return the snapshot for a batch of these keys, at most 200."""

    async def apply(
        self,
        owner: UserId,
        changes: Changeset,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Kept | None:
        """Apply all the changes as one write, or return None if a precondition no longer holds.

        `changes` has at least one write. A purge is due if it is due for any of the new revisions.
        """

    async def changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        """Return the changes after `since`, the lowest `limit` revisions; the whole state if `since` is 0.

        Raises Resync like `todo_domain.changes.require_known`. Counter, horizon and rows are one snapshot. `budget` is
        as in `page`.
        """

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
        """Return at most `limit` tasks of the trash, the last deleted first; None is all of them.

        With `before`, those whose deletion has a lower revision. `budget` is as in `page`.
        """

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
        """Restore a task from the trash, and return it, unchanged except for its revision and `updated_at`.

        Its tombstone is deleted; the horizon does not change. A task that is not deleted is returned unchanged. Racing
        callers make one change. Raises NotFound if there is no such task, deleted or not, and QuotaReached if the owner
        has `quota` tasks; the task then stays in the trash.
        """

    async def discard(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> None:
        """Remove a task from the trash for good; its tombstone and the counter stay. Raises NotFound."""

    async def empty_trash(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        """Remove all tasks from the trash for good; the tombstones and the counter stay."""

    async def export(
        self,
        owner: UserId,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Everything:
        """Return all tasks and the whole trash, each by ascending id, and the counter: one snapshot, taken `now`.

        `budget` is as in `page`.
        """

    async def erase(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        """Remove the tasks, trash, tombstones, keys and feed of the owner in one transaction; the counter rises by one.

        The horizon becomes the new counter, so every earlier revision and list tag is stale. Only the user id and the
        counter remain. For a user who never wrote, nothing is created. The time is proportional to the number of rows.
        """

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return if the store can serve right now, else raise Unavailable with the reason."""


class Caller(NamedTuple):
    """The user of a verified token, and the token's expiry in seconds since 1970."""

    user: UserId
    expires_at: float


class TokenVerifier(Protocol):
    """Verifies tokens."""

    async def verify(self, token: str, *, deadline: Deadline | None = None) -> Caller:
        """Return the caller of a token that is valid now.

        Raises Unauthenticated with a reason. Raises Unavailable if no key set was fetched yet, or if the latest fetch
        failed and the token names an unknown key. A wait for keys ends at the deadline; without one, within
        RESPOND_WITHIN. Never blocks the event loop, and bounds what it reads.
        """

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return if tokens can be verified right now, else raise Unavailable with the reason."""


class AuditLog(Protocol):
    """The log of security events."""

    def record(self, event: str, **details: str | int | None) -> None:
        """Record an event. Must not raise and must not wait; it keeps `details`, except the end of long ones.

        Callers never pass a token, a secret, a title or a description.
        """
