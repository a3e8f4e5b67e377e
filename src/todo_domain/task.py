"""A task and its rules: the limits of its members (such as the title's length), creating, editing, completing."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from enum import IntEnum
from typing import Any, Final, Literal, NamedTuple, TypedDict, cast

from todo_domain.errors import Invalid, Stale
from todo_domain.extra import EMPTY, ExtraPatch, checked_extra
from todo_domain.owner import UserId
from todo_domain.text import fold, free_text, label

LONGEST_TITLE: Final = 255
LONGEST_DESCRIPTION: Final = 5_000
LONGEST_TAG: Final = 50
MOST_TAGS: Final = 20

POSITION: Final = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
"""A position in the client's own order, compared by ASCII code."""

Status = Literal["incomplete", "complete"]


class Priority(IntEnum):
    """The priority of a task; stores keep the numbers, which are in the order of importance."""

    NONE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3


class Members(TypedDict, total=False):
    """The members that an owner may set; an absent key leaves the member unchanged.

    `status` and `completed` are the same fact in two forms. `revision` sets nothing: it is the revision of the task
    that the other members are based on (see `Task.edited`).
    """

    title: str
    description: str | None
    status: Status
    completed: bool
    priority: Priority
    due_date: date | None
    tags: Sequence[str]
    position: str | None
    extra: Mapping[str, Any] | str | ExtraPatch
    revision: int


class Task(NamedTuple):
    """One task of one user at `revision`. Immutable; times are UTC, to the microsecond.

    `uid` is the client's own name for the task, None if it gave none. `extra` is JSON text in canonical form.
    """

    id: int
    uid: str | None
    user_id: UserId
    title: str
    description: str | None
    completed_at: datetime | None
    priority: Priority
    due_date: date | None
    tags: tuple[str, ...]
    position: str | None
    extra: str
    revision: int
    created_at: datetime
    updated_at: datetime

    @property
    def completed(self) -> bool:
        """Whether the task is done."""
        return self.completed_at is not None

    @property
    def status(self) -> Status:
        """The same fact as a word."""
        return "incomplete" if self.completed_at is None else "complete"

    def toggled(self, now: datetime) -> Task:
        """Return the task completed if it was open, reopened if it was complete."""
        return self._with(now, completed_at=now if self.completed_at is None else None)

    def edited(self, members: Members, now: datetime) -> Task:
        """Return the task with these members, or this very task if they change nothing.

        `members` are what `check` returned. `updated_at` moves only with a change, and never backwards. Where
        `status` and `completed` contradict each other, the one that differs from this task is the change.

        With a `revision`, the members are based on the task at that revision: raise Stale if this task is at another
        one, unless every member already has its value, because an edit that was sent twice must not conflict with
        itself.
        """
        changes: dict[str, object] = {
            name: value for name, value in members.items() if name in _KEPT_AS_GIVEN and getattr(self, name) != value
        }
        if isinstance(patch := changes.get("extra"), ExtraPatch):
            changes["extra"] = patch.applied_to(self.extra)
            if changes["extra"] == self.extra:
                del changes["extra"]
        if (not self.completed) in completions(members):
            changes["completed_at"] = None if self.completed else now
        if not changes:
            return self
        if "revision" in members and members["revision"] != self.revision:
            raise Stale(self)
        return self._with(now, **changes)

    def _with(self, now: datetime, **values: object) -> Task:
        return self._replace(updated_at=max(self.updated_at, now), **values)  # type: ignore[arg-type]  # checked values


_KEPT_AS_GIVEN: Final = frozenset(Members.__annotations__).intersection(Task._fields) - {"revision"}


def new_task(members: Members, *, id: int, owner: UserId, revision: int, now: datetime, uid: str | None = None) -> Task:
    """Return the task that these members describe, created at `now`; `members` are what `check_new` returned.

    The same arguments give the same task, so a store that remembers them can repeat a response without storing it.
    """
    return Task(
        id=id,
        uid=uid,
        user_id=owner,
        title=members["title"],
        description=members.get("description"),
        completed_at=now if True in completions(members) else None,
        priority=members.get("priority", Priority.NONE),
        due_date=members.get("due_date"),
        tags=tuple(members.get("tags", ())),
        position=members.get("position"),
        extra=_new_extra(members),
        revision=revision,
        created_at=now,
        updated_at=now,
    )


def _new_extra(members: Members) -> str:
    extra = members.get("extra", EMPTY)
    return extra.applied_to(EMPTY) if isinstance(extra, ExtraPatch) else cast("str", extra)


def at_revision(
    if_match: Collection[int] | None, change: Callable[[Task, datetime], Task]
) -> Callable[[Task, datetime], Task]:
    """Return the change of a task that must be at one of these revisions, else Stale is raised; None accepts any."""

    def changed(task: Task, now: datetime) -> Task:
        edited = change(task, now)
        if if_match is not None and task.revision not in if_match:
            raise Stale(task)
        return edited

    return changed


def completions(members: Members) -> set[bool]:
    """Return the values of `status` and `completed` as booleans: none, one, or two that contradict."""
    values = {members["completed"]} if "completed" in members else set()
    if "status" in members:
        values.add(members["status"] == "complete")
    return values


def check(members: Members) -> Members:
    """Return the members in their stored form; raise Invalid for the first that breaks its rule.

    No types are converted: a number is not a string, `True` is not a number, a datetime is not a date, a string is not
    a sequence of tags, and an instance of a subclass is refused. `status` and `completed` may contradict each other
    only beside a `revision`: see `Task.edited`.
    """
    checked: dict[str, object] = {}
    for name, value in members.items():
        if (rule := RULES.get(name)) is None:
            raise Invalid(name, "is not a member of a task that can be set")
        checked[name] = rule(value)
    if "revision" not in members and len(completions(members)) > 1:
        raise _contradiction()
    return cast("Members", checked)


def check_new(members: Members) -> Members:
    """Do the same as `check` for a new task, which needs a title and has no revision."""
    if "title" not in members:
        raise Invalid("title", "is required")
    if "revision" in members:
        raise Invalid("revision", "is given by the service: leave it out")
    return check(members)


def _contradiction() -> Invalid:
    return Invalid("completed", "contradicts status: send one of them, or both alike")


def _title(value: object) -> str:
    if type(value) is not str:
        raise Invalid("title", "must be a string")
    return label("title", value, LONGEST_TITLE)


def _description(value: object) -> str | None:
    if value is None:
        return None
    if type(value) is not str:
        raise Invalid("description", "must be a string or null")
    return free_text("description", value, LONGEST_DESCRIPTION)


def _status(value: object) -> Status:
    if type(value) is not str or value not in {"incomplete", "complete"}:
        raise Invalid("status", "must be incomplete or complete")
    return "complete" if value == "complete" else "incomplete"


def _completed(value: object) -> bool:
    if type(value) is not bool:
        raise Invalid("completed", "must be true or false")
    return value


def _priority(value: object) -> Priority:
    if type(value) is not Priority:
        raise Invalid("priority", "must be a Priority: none, low, medium or high")
    return value


def _due_date(value: object) -> date | None:
    if value is not None and type(value) is not date:
        raise Invalid("due_date", "must be a date without a time, or null")
    return value


def _tags(value: object) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or any(type(tag) is not str for tag in value):
        raise Invalid("tags", "must be a sequence of strings")
    if len(value) > MOST_TAGS:
        raise Invalid("tags", f"must be at most {MOST_TAGS}")
    kept = tuple(label("tags", tag, LONGEST_TAG) for tag in value)
    if len({fold(tag) for tag in kept}) < len(kept):
        raise Invalid("tags", "must be distinct, ignoring case")
    return kept


def _position(value: object) -> str | None:
    if value is not None and (type(value) is not str or POSITION.fullmatch(value) is None):
        raise Invalid("position", "must be 1 to 64 of 0-9, A-Z and a-z, or null")
    return value


def _revision(value: object) -> int:
    if type(value) is not int:
        raise Invalid("revision", "must be a whole number")
    return value


RULES: Final[Mapping[str, Callable[[object], object]]] = {
    "title": _title,
    "description": _description,
    "status": _status,
    "completed": _completed,
    "priority": _priority,
    "due_date": _due_date,
    "tags": _tags,
    "position": _position,
    "extra": checked_extra,
    "revision": _revision,
}
"""The rule of each of `Members`: it returns the value in its stored form, or raises Invalid."""
