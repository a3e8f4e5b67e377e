"""The ports of the service. Each docstring is the contract of the adapters."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from todo_domain.changes import Changes
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.deadline import Deadline
from todo_domain.naming import Key
from todo_domain.owner import UserId
from todo_domain.portability import Everything
from todo_domain.query import Page, Query
from todo_domain.room import Room
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


class Tasks(Protocol):
    """A store of tasks.

    * Every method takes the owner first and accesses only the owner's data.
    * Every write is atomic: after an error, a crash or a cancellation it has happened wholly or not at all.
    * Every write that changes something advances the owner's counter by exactly one (`apply` by one for each of its
      `writes`), and the task or tombstone carries the new value. A reader of the counter also sees every change up to
      it.
    * `updated_at` never goes back, even if the clock does.
    * A write with `once` that changes something remembers the key, the task and its new revision in the same
      transaction. If the owner used the key in the last KEYS_KEPT, nothing is written: Repeated is raised, or KeyReused
      if the fingerprint differs. Racing callers wait for each other. But `create` without a uid gives its first answer
      again.
    * A deleted task lies in the trash for `trash_kept`, with its tombstone; 0 turns the trash off. Readers take what
      has expired for absent at once; a write that purges removes it. A row of the trash leaves with its tombstone.
    * Gone says as `restorable` whether the trash holds the task, expired or not.
    * A store that cannot answer by the `deadline`, without one in ANSWER_WITHIN, raises Unavailable then; it says so
      if a write's outcome is unknown. What it cannot do in the time that is left, it does not begin.
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
        """Keep a new task with an id that no task ever had. `members` are what `check_new` returned.

        With a `uid`, of which racing callers make one task: raises Exists if the owner has a task of that uid, and
        Gone if there is a tombstone of it.

        With `once`: if the owner used the key in the last KEYS_KEPT, nothing is written and the first answer is
        given again, also beyond the quota; KeyReused if the fingerprint differs. Racing callers wait for each
        other. Raises QuotaReached if the owner has `quota` tasks.
        """

    async def get(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        """Return the task. Raises NotFound; and Gone, if the key is a uid of which there is a tombstone."""

    async def page(
        self,
        owner: UserId,
        query: Query,
        *,
        unless: int | None,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        """Return what `todo_domain.query.select` would, with the counter of the same snapshot.

        If that counter is `unless`, the tasks may be left out: the caller has them. `room`, if there is one, counts the
        tasks while they are read, and its NoRoom ends that. Calls without a room and with a query that is `short` are
        not held up by others.
        """

    async def get_once(
        self, owner: UserId, key: Key, once: Once, *, now: datetime, deadline: Deadline | None = None
    ) -> Task:
        """Do what `get` does for a write with `once`: raise Repeated or KeyReused if the key was used already."""

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
        """Keep `edited` in the place of the same task at `edited.revision`, and return it with its new revision.

        Raises NotFound if the task is gone, and Stale with the current task if it is at another revision.
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

        Raises what `get` raises.
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
        """Move the task to the trash, leave a tombstone with its uid, and make room for one more.

        Without `trash_kept`, the task is removed for good.

        Raises what `get` raises, and Stale if its revision is not in `expected` (None: any).
        """

    async def snapshot(self, owner: UserId, keys: Collection[Key], *, deadline: Deadline | None = None) -> Snapshot:
        """Return what a batch of these keys, at most 200, needs to know, all of it from one moment."""

    async def apply(
        self,
        owner: UserId,
        changes: Changeset,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Kept | None:
        """Keep all the changes as one write, or return None if what they depend on is no longer so.

        `changes` has at least one write. A purge is due if any of the new revisions calls for one.
        """

    async def changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        """Return what changed after `since`, the lowest `limit` revisions of it; the whole state if `since` is 0.

        Raises Resync where `todo_domain.changes.require_known` does. Counter, horizon and rows are one snapshot.
        `room` is as in `page`.
        """

    async def trash(
        self,
        owner: UserId,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        limit: int | None = None,
        before: int | None = None,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> TrashPage:
        """Return at most `limit` tasks of the trash, the last deleted first; None is all of them.

        With `before`, those whose deletion has a lower revision. `room` is as in `page`.
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
        """Put a task of the trash back, and return it: as it was, but for its revision and `updated_at`.

        Its tombstone goes; the horizon stays. A task that is not deleted is returned as it is. Racing callers make one
        change. Raises NotFound if there is no such task, nor one in the trash, and QuotaReached if the owner has
        `quota` tasks; the task stays in the trash then.
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
        """Remove everything from the trash for good; the tombstones and the counter stay."""

    async def export(
        self,
        owner: UserId,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Everything:
        """Return all tasks and the whole trash, each by ascending id, and the counter: one snapshot, taken `now`.

        `room` is as in `page`.
        """

    async def erase(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        """Remove the owner's tasks, trash, tombstones and keys, in one transaction that advances the counter by one.

        The horizon becomes the new counter, so no revision and no list tag from before fits any more. Only the user id
        and the counter remain. Of a user who never wrote, nothing is made. The work takes as long as there are rows.
        """

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return if the store can serve right now, else raise Unavailable with the reason."""


class Caller(NamedTuple):
    """The user whom a verified token stands for, and when the token expires, in seconds since 1970."""

    user: UserId
    expires_at: float


class TokenVerifier(Protocol):
    """Verifies tokens."""

    async def verify(self, token: str, *, deadline: Deadline | None = None) -> Caller:
        """Return the caller whose token this is, if the token is valid now.

        Raises Unauthenticated with a reason, and Unavailable while no key set was ever had or the latest fetch of
        it failed and the token names a key that is not in it. A wait for keys ends at the deadline, without one in
        ANSWER_WITHIN. Never blocks, never reads more than is sensible.
        """

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return if tokens can be verified right now, else raise Unavailable with the reason."""


class AuditLog(Protocol):
    """The log of security events."""

    def record(self, event: str, **details: str | int | None) -> None:
        """Note that `event` happened. Must not raise, must not wait, and keeps `details` but for the end of long ones.

        Callers never pass a token, a secret, a title or a description.
        """
