"""Tasks in PostgreSQL: every call one round trip, under row-level security whatever the login."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final, Literal

import psycopg

from todo_adapters.sql import lists
from todo_adapters.sql.postgres import batches
from todo_adapters.sql.postgres.batch import apply_values, snapshot_values
from todo_adapters.sql.postgres.client import PostgresClient
from todo_adapters.sql.postgres.errors import NOT_ALLOWED
from todo_adapters.sql.postgres.isolation import check_isolation, prove_isolation
from todo_adapters.sql.postgres.notifications import Notifications
from todo_adapters.sql.postgres.transaction import Transaction
from todo_adapters.sql.postgres.url import libpq_url
from todo_adapters.sql.rows import POSTGRESQL as FORMS
from todo_adapters.sql.rows import (
    Row,
    Values,
    changed,
    columns,
    conditions,
    expired,
    keyed,
    named,
    replayed,
    task_from_postgresql,
)
from todo_domain.changes import Changes, Tombstone, page_of_changes, require_known
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.deadline import Deadline
from todo_domain.errors import Exists, Gone, KeyReused, NotFound, QuotaReached, Repeated, Stale, Unavailable
from todo_domain.naming import Key
from todo_domain.owner import COUNTERS_BEGIN, UserId, first_counter
from todo_domain.ports import Created, Once, purge_is_due
from todo_domain.query import Page, Query
from todo_domain.room import Room
from todo_domain.task import Members, Task, new_task

_PURGE_TIMEOUT: Final = 0.4
"""Seconds of the write's deadline that a purge behind it may take; the answer waits for it."""


class PostgresTasks:
    """The port `Tasks` over a database that `migrate.upgrade` has prepared.

    Works with the login of an owner, of a superuser, or of a role that may do nothing but become `todo_app`; directly
    or through a pooler in transaction mode. `pool_size`, at least 3, bounds the connections, which are made when
    they are needed: see `PostgresClient`.
    Raises ValueError for a URL of another database. Methods: see `Tasks`.
    """

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self._client = PostgresClient(libpq_url(url), pool_size=pool_size)

    async def open(self) -> None:
        """Do nothing: each connection is made when a call first needs it, and `check` reports whether it works."""

    async def aclose(self) -> None:
        """Close the connections. Whatever comes later is Unavailable."""
        await self._client.aclose()

    def connections(self) -> dict[str, int]:
        """Return how many are `busy` and `idle`, the `limit` of both together, and how many callers are `waiting`."""
        return self._client.connections()

    async def create(
        self,
        owner: UserId,
        members: Members,
        *,
        now: datetime,
        quota: int,
        once: Once | None,
        uid: str | None = None,
        deadline: Deadline | None = None,
    ) -> Created:
        draft = new_task(members, id=0, uid=uid, owner=owner, revision=0, now=now)
        values = {"owner": owner, "now": now, "quota": quota, "begins": first_counter(now), **columns(draft, FORMS)}
        if uid is not None:
            values["uid"] = uid
            there, deleted, made = await self._run_once(batches.CREATE_BY_UID, values, once, now, deadline)
            if there:
                raise Exists(task_from_postgresql(there[0]))
            _require_not_gone(deleted)
        elif once is None:
            (made,) = await self._run(batches.CREATE, values, deadline=deadline)
        else:
            values |= keyed(once, now, FORMS)
            _, seen, made = await self._run(batches.CREATE_ONCE, values, deadline=deadline)
            if seen:
                return Created(replayed(seen[0], owner, members, once, lambda created_at: created_at), replayed=True)
        if not made:
            raise QuotaReached(quota)
        id_, revision = made[0]
        await self._purge(owner, revision, now, deadline)
        return Created(draft._replace(id=id_, revision=revision), replayed=False)

    async def get(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        return _only(*await self._run(_batch(batches.GET, key), named(owner, key), deadline=deadline))

    async def page(
        self,
        owner: UserId,
        query: Query,
        *,
        unless: int | None,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        most = None if query.limit is None else query.limit + 1
        values = {"owner": owner, "unless": unless, "most": most, **conditions(query, FORMS)}
        page = batches.page(lists.shape_of(query), short=query.short)
        (rows,) = await self._run(page, values, deadline=deadline, room=room)
        tasks = [task_from_postgresql(row) for row in rows if row[0] is not None]
        more = query.limit is not None and len(tasks) > query.limit
        return Page(tasks[: query.limit], rows[0][-1] if rows else 0, more)

    async def get_once(
        self, owner: UserId, key: Key, once: Once, *, now: datetime, deadline: Deadline | None = None
    ) -> Task:
        return _only(*await self._run_once(_batch(batches.GET, key), named(owner, key), once, now, deadline))

    async def replace(
        self, owner: UserId, edited: Task, *, now: datetime, once: Once | None = None, deadline: Deadline | None = None
    ) -> Task:
        values = {"owner": owner, "id": edited.id, "expected": edited.revision, **columns(edited, FORMS)}
        values["updated_at"] = edited.updated_at
        turn, current = await self._run_once(batches.REPLACE, values, once, now, deadline)
        if not turn:
            raise Stale(_only(current))
        revision = turn[0][0]
        await self._purge(owner, revision, now, deadline)
        return edited._replace(revision=revision)

    async def toggle(
        self, owner: UserId, key: Key, *, now: datetime, once: Once | None = None, deadline: Deadline | None = None
    ) -> Task:
        values = {**named(owner, key), "now": now}
        toggled = _only(*await self._run_once(_batch(batches.TOGGLE, key), values, once, now, deadline))
        await self._purge(owner, toggled.revision, now, deadline)
        return toggled

    async def delete(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        expected: Collection[int] | None,
        once: Once | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        accepted = None if expected is None else list(expected)
        values = {**named(owner, key), "now": now, "expected": accepted}
        gone, *current = await self._run_once(_batch(batches.DELETE, key), values, once, now, deadline)
        if not gone:
            raise Stale(_only(*current))
        await self._purge(owner, gone[0][0], now, deadline)

    async def snapshot(self, owner: UserId, keys: Collection[Key], *, deadline: Deadline | None = None) -> Snapshot:
        (rows,) = await self._run(batches.SNAPSHOT, snapshot_values(owner, keys), deadline=deadline)
        found, deleted = changed(rows, task_from_postgresql, lambda deleted_at: deleted_at)
        counter, task_count = rows[0][-2:] if rows else (0, 0)
        return Snapshot(counter, task_count, list({task.id: task for task in found}.values()), deleted)

    async def apply(
        self, owner: UserId, changes: Changeset, *, now: datetime, deadline: Deadline | None = None
    ) -> Kept | None:
        values = apply_values(owner, changes, now)
        purges = purge_is_due(changes.revision + changes.writes, changes.writes)
        if purges:
            values |= expired(owner, now, FORMS)
        _, rows, *_ = await self._run(batches.APPLY_AND_PURGE if purges else batches.APPLY, values, deadline=deadline)
        if not rows:
            return None
        begun = rows[0][0]
        if not purges:
            await self._purge(owner, begun + changes.writes, now, deadline, changes.writes)
        return Kept(begun, {uid: id_ for _, uid, id_ in rows if uid is not None})

    async def changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        if not since:
            (rows,) = await self._run(batches.STATE, {"owner": owner}, deadline=deadline, room=room)
            tasks = [task_from_postgresql(row) for row in rows if row[0] is not None]
            return Changes(tasks, [], rows[0][-1] if rows else 0, has_more=False)
        values = {"owner": owner, "since": since, "most": limit + 1}
        (rows,) = await self._run(
            batches.CHANGES if room is None else batches.LONG_CHANGES, values, deadline=deadline, room=room
        )
        counter, horizon = rows[0][-2:] if rows else (0, 0)
        require_known(since, revision=counter, horizon=horizon)
        tasks, deleted = changed(rows, task_from_postgresql, lambda deleted_at: deleted_at)
        return page_of_changes(tasks, deleted, counter=counter, limit=limit)

    async def erase(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        await self._run(batches.ERASE, {"owner": owner, "began": COUNTERS_BEGIN}, deadline=deadline)

    async def counters(self, users: Collection[UserId]) -> dict[UserId, int]:
        """Return each user's counter, each read as that user alone; 0 for a user who never wrote."""
        found = await asyncio.gather(*(self._client.run(batches.COUNTER, {"owner": user}) for user in users))
        return {user: rows[0][0] if rows else 0 for user, (rows,) in zip(users, found, strict=True)}

    def notifications(
        self,
        urls: Sequence[str],
        *,
        heard: Callable[[str], None],
        reconnected: Callable[[], None],
        noted: Callable[[Literal["sent", "heard"], int], None],
    ) -> Notifications:
        """Return what tells other workers of writes and hears of theirs; `urls` say where to listen, the best first."""
        infos = [libpq_url(url) for url in urls]
        return Notifications(self._client, infos, heard=heard, reconnected=reconnected, noted=noted)

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """See `Tasks`; serving needs row-level security in force."""
        await check_isolation(self._client, deadline or Deadline.within())

    async def prove_isolation(self) -> None:
        """Try to write into another user's place, in a way that cannot be kept; raise Unavailable if that is let in."""
        await prove_isolation(self._client)

    async def _run(
        self, batch: Transaction, values: Values, *, deadline: Deadline | None, room: Room | None = None
    ) -> list[list[Row]]:
        """Run a transaction; a privilege that is missing, or row_security turned off, is the database's, not ours."""
        try:
            return await self._client.run(batch, values, deadline=deadline, room=room)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Unavailable(NOT_ALLOWED) from error

    async def _run_once(
        self, batch: Transaction, values: Values, once: Once | None, now: datetime, deadline: Deadline | None
    ) -> list[list[Row]]:
        """Run a transaction, with the key if there is one. Raises Repeated or KeyReused if the key was used."""
        if once is None:
            return await self._run(batch, values, deadline=deadline)
        values = {**values, **keyed(once, now, FORMS)}
        seen, *results = await self._run(batches.ONCE[batch], values, deadline=deadline)
        if seen:
            raise Repeated if seen[0][0] == once.fingerprint else KeyReused
        return results

    async def _purge(
        self, owner: UserId, revision: int, now: datetime, deadline: Deadline | None, writes: int = 1
    ) -> None:
        # A batch of its own, right behind the write: as one more statement of every write it would double its cost.
        if not purge_is_due(revision, writes):
            return
        with contextlib.suppress(Unavailable):  # the write has happened, and another one will purge
            due = (deadline or Deadline.within()).at_most(_PURGE_TIMEOUT)
            await self._run(batches.PURGE, expired(owner, now, FORMS), deadline=due)


def _batch(batch: Transaction, key: Key) -> Transaction:
    """Return the batch, or for a uid the one that does the same with it."""
    return batches.BY_UID[batch] if isinstance(key, str) else batch


def _only(rows: list[Row], deleted: Sequence[Row] = ()) -> Task:
    """Return the task in the one row, or raise what its absence means; `deleted` are the tombstones of its uid."""
    if not rows:
        _require_not_gone(deleted)
        raise NotFound
    return task_from_postgresql(rows[0])


def _require_not_gone(deleted: Sequence[Row]) -> None:
    if deleted:
        raise Gone(Tombstone(*deleted[0]))
