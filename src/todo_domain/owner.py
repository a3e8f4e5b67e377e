"""Ownership: the user id, the limits per user, and the comparison of a task's owner with the caller."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NewType

from todo_domain.errors import Forbidden, Invalid, NotFound
from todo_domain.text import refuse_control_characters

if TYPE_CHECKING:
    from todo_domain.task import Task

UserId = NewType("UserId", str)
"""The subject of a verified token. Two ids are equal if all their characters are."""

LARGEST_ID: Final = 2**53 - 1
"""The largest task id and the largest revision: every JSON client holds it exactly (RFC 8259, section 6)."""

DEFAULT_QUOTA: Final = 10_000
"""The number of tasks a user may have, unless a setting changes it."""

LONGEST_USER_ID: Final = 255

COUNTERS_BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def first_counter(now: datetime) -> int:
    """Return the first value of the counter and the horizon of a user whose first write is at `now`.

    It is the microseconds since COUNTERS_BEGIN, 0 if the clock is before that. So if data is lost and started anew, all
    new revisions are above the lost ones.
    """
    return max(0, (now - COUNTERS_BEGIN) // _MICROSECOND)


def user_id(text: str) -> UserId:
    """Return `text` as a user id. Raise Invalid unless it has 1 to 255 characters, none of them a control character."""
    if not 0 < len(text) <= LONGEST_USER_ID:
        raise Invalid("user_id", f"must be 1 to {LONGEST_USER_ID} characters")
    refuse_control_characters("user_id", text)
    if any(character in text for character in "\t\n\r"):
        raise Invalid("user_id", "must not contain a line break or a tab")
    return UserId(text)


def require_own_path(caller: UserId, path_user: str | None) -> None:
    """Raise Forbidden unless `path_user`, the user id in the path, is the caller's. None is no user's id."""
    if caller != path_user:
        raise Forbidden


def require_owned(owner: UserId, task: Task) -> Task:
    """Return `task` if it is the owner's. Raise NotFound otherwise: another user's task does not exist."""
    if task.user_id != owner:
        raise NotFound
    return task
