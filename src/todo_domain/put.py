"""A PUT: its members and conditions, and its effect on a task, a tombstone, or nothing."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from todo_domain.changes import Tombstone
from todo_domain.errors import Exists, Gone, Invalid, NotFound, Stale
from todo_domain.naming import Key, checked_uid
from todo_domain.owner import UserId
from todo_domain.task import Members, Task, check, new_task


class Put(NamedTuple):
    """The members to set, and the conditions.

    `id`, `uid` and `user_id` are the read-only members that the client sent back; None counts as absent. `if_match` has
    the revisions that may be changed, None any; `conditional` is true if there was such a condition, including one that
    accepts any revision. `create_only` refuses an existing task.
    """

    members: Members
    id: object = None
    uid: object = None
    user_id: object = None
    if_match: Collection[int] | None = None
    conditional: bool = False
    create_only: bool = False

    @property
    def may_create(self) -> bool:
        """Whether it may create a task: it has a title, but no id, revision or condition of an existing task."""
        return "title" in self.members and "revision" not in self.members and self.id is None and not self.conditional


def checked_put(put: Put) -> Put:
    """Return the PUT with checked members. Raises Invalid, also if there is no member to set."""
    if not put.members.keys() - {"revision"}:
        raise Invalid("body", "has no member that can be set")
    return put._replace(members=check(put.members))


def judge_put(put: Put, found: Task | Tombstone | None, *, owner: UserId, key: Key, now: datetime) -> Task:
    """Return the task after the PUT, given the task or tombstone under its key. `put` is a result of `checked_put`.

    It is `found` itself if nothing changes. A created task has id 0 and revision 0; the store assigns both. Raises
    Invalid if the client sent back another task's id, uid or user, or if a new key is not a uid; Gone for a tombstone;
    NotFound if there is no task and none is created; Stale and Exists if a condition fails.
    """
    if isinstance(found, Task):
        _require_own(put, id_=found.id, uid=found.uid, user_id=found.user_id)
        if put.if_match is not None and found.revision not in put.if_match:
            raise Stale(found)
        if put.create_only:
            raise Exists(found)
        return found.edited(put.members, now)
    if isinstance(key, int):
        raise NotFound
    if found is not None:
        raise Gone(found)
    if not put.may_create:
        raise NotFound
    _require_own(put, id_=None, uid=key, user_id=owner)
    return new_task(put.members, id=0, uid=checked_uid("key", key), owner=owner, revision=0, now=now)


def _require_own(put: Put, *, id_: int | None, uid: str | None, user_id: UserId) -> None:
    for name, given, own in (("id", put.id, id_), ("uid", put.uid, uid), ("user_id", put.user_id, user_id)):
        if given is not None and (type(given) is not type(own) or given != own):
            raise Invalid(name, "must be the task's own: it cannot be changed")
