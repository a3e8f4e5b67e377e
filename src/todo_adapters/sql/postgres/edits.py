"""Edits in PostgreSQL: one round trip, where reading the task and replacing it takes two.

An edit that changes nothing, or must not, takes a second one, which reads the task.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from todo_adapters.sql.postgres.calls import PostgresCalls, only, transaction_for
from todo_adapters.sql.postgres.statements import transactions
from todo_adapters.sql.postgres.statements.edit import columns_given, edit_values, which
from todo_adapters.sql.rows import named
from todo_adapters.sql.task_columns import task_from_postgresql
from todo_domain.deadline import Deadline
from todo_domain.editing import Edit
from todo_domain.naming import Key
from todo_domain.owner import UserId
from todo_domain.ports import Once
from todo_domain.task import Task
from todo_domain.trash import TRASH_KEPT


class PostgresEdits(PostgresCalls):
    """The method of `EditsInOneStep`."""

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
        """See `EditsInOneStep`. The statement edits by the rules of `Task.edited`; a test compares the two."""
        values = {**named(owner, key), **edit_values(edit, owner, now)}
        given = columns_given(edit.members)
        if len(given) == 1 and once is None and edit.if_match is None and "revision" not in edit.members:
            transaction = transactions.edit_of(given[0], by_uid=isinstance(key, str))
        else:
            transaction = transaction_for(transactions.EDIT, key)
            values |= which(given)
        deadline = deadline or Deadline.within()
        while True:
            (edited,) = await self._run_once(transaction, values, once, now, deadline)
            if edited:
                task = task_from_postgresql(edited[0])
                await self._purge(owner, task.revision, now, trash_kept, deadline)
                return task
            found = await self._run(transaction_for(transactions.GET, key), named(owner, key), deadline=deadline)
            current = only(*found)
            if edit.applied_to(current, now) is current:
                return current
            # The task has changed between the two, so that the edit would now change it: try again until the deadline.
