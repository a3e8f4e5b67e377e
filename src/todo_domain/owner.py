"""Who owns what: the user's id, the numbers that count for each user, and the one comparison that guards a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NewType

from todo_domain.errors import Forbidden, Invalid, NotFound
from todo_domain.text import refuse_control_characters

if TYPE_CHECKING:
    from todo_domain.task import Task

UserId = NewType("UserId", str)
"""The subject of a verified token, compared character by character."""

LARGEST_ID: Final = 2**53 - 1
"""The largest id of a task, and the largest revision: what every JSON client holds exactly (RFC 8259, section 6)."""

DEFAULT_QUOTA: Final = 10_000
"""Tasks per user unless the deployment says otherwise."""

LONGEST_USER_ID: Final = 255


def user_id(text: str) -> UserId:
    """Return `text` as a user's id, or raise Invalid: 1 to 255 characters, none of them a control character."""
    if not 0 < len(text) <= LONGEST_USER_ID:
        raise Invalid("user_id", f"must be 1 to {LONGEST_USER_ID} characters")
    refuse_control_characters("user_id", text)
    if any(character in text for character in "\t\n\r"):
        raise Invalid("user_id", "must not contain a line break or a tab")
    return UserId(text)


def require_own_place(caller: UserId, place: str | None) -> None:
    """Raise Forbidden unless `place`, the user that a request names, is the caller; None is nobody's place."""
    if caller != place:
        raise Forbidden


def require_owned(owner: UserId, task: Task) -> Task:
    """Return `task` if it is the owner's. Somebody else's task does not exist: NotFound, as if it never had."""
    if task.user_id != owner:
        raise NotFound
    return task
