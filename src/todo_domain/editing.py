"""An edit that a store may do in one step, where reading the task first would cost it a second trip or call."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, runtime_checkable

from todo_domain.deadline import Deadline
from todo_domain.extra import ExtraPatch
from todo_domain.naming import Key
from todo_domain.owner import UserId
from todo_domain.ports import Once
from todo_domain.task import Members, Task, at_revision, completions
from todo_domain.trash import TRASH_KEPT


class Edit(NamedTuple):
    """The members that an edit sets, as `check` returned them, and the revisions that it accepts; None is any."""

    members: Members
    if_match: Collection[int] | None = None

    @property
    def in_one_step(self) -> bool:
        """Whether each member gets a value that does not depend on the task.

        A patch of `extra` depends on the task, and so do `status` and `completed` that contradict each other.
        """
        return len(completions(self.members)) < 2 and not isinstance(self.members.get("extra"), ExtraPatch)

    def applied_to(self, task: Task, now: datetime) -> Task:
        """Return the edited task, or this very task if nothing changes. Raises Stale."""
        return at_revision(self.if_match, lambda task, now: task.edited(self.members, now))(task, now)


@runtime_checkable
class EditsInOneStep(Protocol):
    """An addition to `Tasks` that a store may have. Otherwise the service reads the task, edits it and replaces it."""

    async def edit(
        self,
        owner: UserId,
        key: Key,
        edit: Edit,
        *,
        now: datetime,
        once: Once | None = None,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Task:
        """Keep the task as `edit.applied_to` returns it, and return it; `edit.in_one_step` is true.

        An edit that changes nothing writes nothing. Raises what `Tasks.get` raises, and Stale.
        """
