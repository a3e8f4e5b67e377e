"""Tasks in a SQLite file, which any number of processes may share."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import datetime
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Final

from todo_adapters.sql import lists, statements
from todo_adapters.sql.dialects import SQLITE, text_of
from todo_adapters.sql.rows import SQLITE as FORMS
from todo_adapters.sql.rows import Row, Values, changed, columns, conditions, counted, task_from_sqlite, text_of_instant
from todo_adapters.sql.schema import TOUCH
from todo_adapters.sql.sqlite import writes
from todo_adapters.sql.sqlite.calls import BEHIND, SqliteCalls, schema_is_behind
from todo_adapters.sql.sqlite.file import File
from todo_domain.changes import Changes, Tombstone, page_of_changes, require_known
from todo_domain.deadline import Deadline
from todo_domain.errors import Exists, Gone, KeyReused, NotFound, QuotaReached, Repeated, Stale, Unavailable
from todo_domain.naming import Key
from todo_domain.owner import UserId, first_counter
from todo_domain.ports import KEYS_KEPT, Created, Once, purge_is_due, retention
from todo_domain.query import Page, Query
from todo_domain.room import Room
from todo_domain.task import Members, Task, new_task

_GET: Final = text_of(statements.get, SQLITE)
_GET_BY_UID: Final = text_of(statements.get_by_uid, SQLITE)
_TOMBSTONE_BY_UID: Final = text_of(statements.tombstone_by_uid, SQLITE)
_COUNTER: Final = text_of(statements.counter, SQLITE)
_SEEN: Final = text_of(statements.seen, SQLITE)
_STATE: Final = text_of(statements.state, SQLITE)
_CHANGES: Final = text_of(statements.changes, SQLITE)
_PROVISION: Final = text_of(writes.provision, SQLITE)
_ADMIT: Final = text_of(writes.admit, SQLITE)
_TURN: Final = text_of(writes.turn, SQLITE)
_DISMISS: Final = text_of(writes.dismiss, SQLITE)
_NEXT_ID: Final = text_of(writes.next_id, SQLITE)
_INSERT: Final = text_of(writes.insert, SQLITE)
_REMEMBER: Final = text_of(writes.remember, SQLITE)
_REPLACE: Final = text_of(writes.replace, SQLITE)
_TOGGLE: Final = text_of(writes.toggle, SQLITE)
_REMOVE: Final = text_of(writes.remove, SQLITE)
_INSERT_TOMBSTONE: Final = text_of(writes.insert_tombstone, SQLITE)
_FORGET: Final = text_of(writes.forget, SQLITE)
_PURGE_TOMBSTONES: Final = text_of(writes.purge_tombstones, SQLITE)
_RAISE_HORIZON: Final = text_of(writes.raise_horizon, SQLITE)

_NO_LIMIT: Final = -1
_SLOW_READERS: Final = 2
_found = cache(lambda shape: text_of(lists.found(shape), SQLITE))


def texts() -> dict[str, str]:
    """Return every statement that is ever run for a user, each by a name: what tests read, and have explained."""
    fixed = {
        "get": _GET,
        "get by uid": _GET_BY_UID,
        "tombstone by uid": _TOMBSTONE_BY_UID,
        "counter": _COUNTER,
        "seen": _SEEN,
        "state": _STATE,
        "changes": _CHANGES,
        "provision": _PROVISION,
        "admit": _ADMIT,
        "turn": _TURN,
        "dismiss": _DISMISS,
        "next id": _NEXT_ID,
        "insert": _INSERT,
        "remember": _REMEMBER,
        "replace": _REPLACE,
        "toggle": _TOGGLE,
        "remove": _REMOVE,
        "insert_tombstone": _INSERT_TOMBSTONE,
        "forget": _FORGET,
        "purge_tombstones": _PURGE_TOMBSTONES,
        "raise horizon": _RAISE_HORIZON,
    }
    return fixed | {lists.name_of(shape): _found(shape) for shape in lists.all_shapes()}


class SqliteTasks:
    """The port `Tasks` over one file, which `migrate.upgrade` has prepared.

    All writes of this process go through one thread and all short reads through another; reads that may take long have
    two more. Writes that wait at the same time share a transaction, and writes of several processes wait for each
    other. A write that has returned is on the disk.
    Methods: see `Tasks`.
    """

    def __init__(self, path: Path | str) -> None:
        file = File(Path(path))
        self._writer = SqliteCalls(file, writes=True)
        self._reader = SqliteCalls(file, writes=False)
        self._slow_readers = [SqliteCalls(file, writes=False) for _ in range(_SLOW_READERS)]

    async def open(self) -> None:
        """Open the file, or raise Unavailable; without this call, the first use does so."""
        await self._writer.run(lambda _: None)
        await self._reader.run(lambda _: None)

    async def aclose(self) -> None:
        """Finish what has begun and close the file. Whatever comes later is Unavailable."""
        for worker in (self._writer, self._reader, *self._slow_readers):
            await worker.aclose()

    def _reader_for(self, *, short: bool) -> SqliteCalls:
        return self._reader if short else min(self._slow_readers, key=attrgetter("load"))

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
        values: Values = {
            "owner": owner,
            "now": text_of_instant(now),
            "quota": quota,
            "begins": first_counter(now),
            "uid": uid,
            **columns(draft, FORMS),
            **_keyed(once, now),
        }

        def work(connection: sqlite3.Connection) -> Created:
            if uid is None and once and (seen := connection.execute(_SEEN, values).fetchone()) is not None:
                return Created(_replayed(seen, owner, members, once), replayed=True)
            if uid is not None:
                _require_new(connection, values)
                if (row := connection.execute(_GET_BY_UID, values).fetchone()) is not None:
                    raise Exists(task_from_sqlite(row))
                _require_not_gone(connection, values)
            connection.execute(_PROVISION, values)
            if (admitted := connection.execute(_ADMIT, values).fetchone()) is None:
                raise QuotaReached(quota)
            values["new_revision"] = revision = admitted[0]
            (values["id"],) = connection.execute(_NEXT_ID).fetchone()
            connection.execute(_INSERT, values)
            _finish(connection, values, now)
            return Created(draft._replace(id=values["id"], revision=revision), replayed=False)

        return await self._writer.run(work, deadline)

    async def get(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        return await self._reader.run(lambda connection: _get(connection, _named(owner, key)), deadline)

    async def page(
        self,
        owner: UserId,
        query: Query,
        *,
        unless: int | None,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        most = _NO_LIMIT if query.limit is None else query.limit + 1
        values = {"owner": owner, "most": most, **conditions(query, FORMS)}
        sql = _found(lists.shape_of(query))

        def work(connection: sqlite3.Connection) -> Page:
            (counter,) = connection.execute(_COUNTER, values).fetchone() or (0,)
            if counter == unless:
                return Page([], counter, more=False)
            tasks = [task_from_sqlite(row) for row in counted(connection.execute(sql, values), room)]
            more = query.limit is not None and len(tasks) > query.limit
            return Page(tasks[: query.limit], counter, more)

        return await self._reader_for(short=query.short).run(work, deadline)

    async def get_once(
        self, owner: UserId, key: Key, once: Once, *, now: datetime, deadline: Deadline | None = None
    ) -> Task:
        values: Values = {**_named(owner, key), **_keyed(once, now)}

        def work(connection: sqlite3.Connection) -> Task:
            _require_new(connection, values)
            return _get(connection, values)

        return await self._reader.run(work, deadline)

    async def replace(
        self, owner: UserId, edited: Task, *, now: datetime, once: Once | None = None, deadline: Deadline | None = None
    ) -> Task:
        values: Values = {"owner": owner, "id": edited.id, "expected": edited.revision, **columns(edited, FORMS)}
        values |= {"updated_at": text_of_instant(edited.updated_at), **_keyed(once, now)}

        def work(connection: sqlite3.Connection) -> Task:
            _require_new(connection, values)
            if (current := _get(connection, values)).revision != edited.revision:
                raise Stale(current)
            (values["new_revision"],) = connection.execute(_TURN, values).fetchone()
            connection.execute(_REPLACE, values)
            _finish(connection, values, now)
            return edited._replace(revision=values["new_revision"])

        return await self._writer.run(work, deadline)

    async def toggle(
        self, owner: UserId, key: Key, *, now: datetime, once: Once | None = None, deadline: Deadline | None = None
    ) -> Task:
        values: Values = {**_named(owner, key), "now": text_of_instant(now), **_keyed(once, now)}

        def work(connection: sqlite3.Connection) -> Task:
            _require_new(connection, values)
            _find(connection, values)
            if (turn := connection.execute(_TURN, values).fetchone()) is None:
                raise NotFound
            (values["new_revision"],) = turn
            if (row := connection.execute(_TOGGLE, values).fetchone()) is None:
                raise NotFound
            _finish(connection, values, now)
            return task_from_sqlite(row)

        return await self._writer.run(work, deadline)

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
        accepted = None if expected is None else FORMS.several(list(expected))
        values: Values = {**_named(owner, key), "now": text_of_instant(now), "expected": accepted}
        values |= _keyed(once, now)

        def work(connection: sqlite3.Connection) -> None:
            _require_new(connection, values)
            _find(connection, values)
            if (removed := connection.execute(_REMOVE, values).fetchone()) is None:
                raise Stale(_get(connection, values))
            (values["uid"],) = removed
            (values["new_revision"],) = connection.execute(_DISMISS, values).fetchone()
            connection.execute(_INSERT_TOMBSTONE, values)
            _finish(connection, values, now)

        await self._writer.run(work, deadline)

    async def changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        values = {"owner": owner, "since": since, "most": limit + 1}

        def work(connection: sqlite3.Connection) -> Changes:
            rows = list(counted(connection.execute(_CHANGES if since else _STATE, values), room))
            if not since:
                tasks = [task_from_sqlite(row) for row in rows if row[0] is not None]
                return Changes(tasks, [], rows[0][-1] if rows else 0, has_more=False)
            counter, horizon = rows[0][-2:] if rows else (0, 0)
            require_known(since, revision=counter, horizon=horizon)
            tasks, deleted = changed(rows, task_from_sqlite, datetime.fromisoformat)
            return page_of_changes(tasks, deleted, counter=counter, limit=limit)

        return await self._reader_for(short=room is None and since > 0).run(work, deadline)

    async def counters(self, users: Collection[UserId]) -> dict[UserId, int]:
        """Return each user's counter, each read as that user alone; 0 for a user who never wrote."""

        def work(connection: sqlite3.Connection) -> dict[UserId, int]:
            found = ((user, connection.execute(_COUNTER, {"owner": user}).fetchone()) for user in users)
            return {user: row[0] if row else 0 for user, row in found}

        return await self._reader.run(work)

    async def version(self) -> int:
        """Return a number that changes with each commit of any process; it costs some microseconds."""
        return await self._reader.run(lambda connection: int(connection.execute("PRAGMA data_version").fetchone()[0]))

    async def check(self, *, deadline: Deadline | None = None) -> None:
        def behind(connection: sqlite3.Connection) -> bool:
            if schema_is_behind(connection):
                return True
            connection.execute(TOUCH)
            return False

        # On the writing lane, whose transaction a locked file would refuse.
        if await self._writer.run(behind, deadline):
            raise Unavailable(BEHIND)


def _named(owner: UserId, key: Key) -> Values:
    """Return the parameters that say which task: by its id, or by its uid."""
    return {"owner": owner, "uid": key} if isinstance(key, str) else {"owner": owner, "id": key}


def _keyed(once: Once | None, now: datetime) -> Values:
    """Return the parameters of an Idempotency-Key, if there is one."""
    if once is None:
        return {}
    since = text_of_instant(now - KEYS_KEPT)
    return {"key": once.key, "fingerprint": once.fingerprint, "keys_since": since, "now": text_of_instant(now)}


def _require_new(connection: sqlite3.Connection, values: Values) -> None:
    """Raise Repeated or KeyReused if the key of a write, where it has one, was used already."""
    if "key" in values and (seen := connection.execute(_SEEN, values).fetchone()) is not None:
        raise Repeated if seen[0] == values["fingerprint"] else KeyReused


def _finish(connection: sqlite3.Connection, values: Values, now: datetime) -> None:
    """Remember the key of a write, where it has one, and purge."""
    if "key" in values:
        connection.execute(_REMEMBER, values)
    _purge(connection, values["owner"], values["new_revision"], now)


def _find(connection: sqlite3.Connection, values: Values) -> None:
    """Add the id to parameters that have only a uid."""
    if "id" not in values:
        values["id"] = _get(connection, values).id


def _get(connection: sqlite3.Connection, values: Values) -> Task:
    by_id = "id" in values
    if (row := connection.execute(_GET if by_id else _GET_BY_UID, values).fetchone()) is not None:
        return task_from_sqlite(row)
    if not by_id:
        _require_not_gone(connection, values)
    raise NotFound


def _require_not_gone(connection: sqlite3.Connection, values: Values) -> None:
    if (row := connection.execute(_TOMBSTONE_BY_UID, values).fetchone()) is not None:
        task_id, uid, revision, deleted_at = row
        raise Gone(Tombstone(task_id, uid, revision, datetime.fromisoformat(deleted_at)))


def _replayed(seen: Row, owner: UserId, members: Members, once: Once) -> Task:
    fingerprint, task_id, revision, created_at = seen
    if fingerprint != once.fingerprint:
        raise KeyReused
    return new_task(members, id=task_id, owner=owner, revision=revision, now=datetime.fromisoformat(created_at))


def _purge(connection: sqlite3.Connection, owner: UserId, revision: int, now: datetime) -> None:
    if not purge_is_due(revision):
        return
    keys_since, tombstones_since, kept, most = retention(now)
    values = {
        "owner": owner,
        "most": most,
        "kept": kept,
        "keys_since": text_of_instant(keys_since),
        "tombstones_since": text_of_instant(tombstones_since),
    }
    connection.execute(_FORGET, values)
    if gone := connection.execute(_PURGE_TOMBSTONES, values).fetchall():
        connection.execute(_RAISE_HORIZON, values | {"horizon": max(revision for (revision,) in gone)})
