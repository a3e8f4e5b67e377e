"""The actions of a user on many tasks in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from todo_domain.batch import first_failure, plan
from todo_domain.changeset import Kept, Snapshot
from todo_domain.deadline import Deadline
from todo_domain.errors import Unavailable
from todo_domain.importing import Entry, Import, Outcome, keys_of_entries, outcome_of, plan_import
from todo_domain.judging import Plan, settled
from todo_domain.naming import Key
from todo_domain.operations import Done, Operation, Result, keys_of
from todo_domain.owner import UserId
from todo_domain.trash_service import TrashService


class BatchService(TrashService):
    """The part of `TaskService` with batches and with imports, whose steps are done like batches."""

    async def batch(
        self, owner: UserId, operations: Sequence[Operation], *, atomic: bool = False, deadline: Deadline | None = None
    ) -> Sequence[Result]:
        """Do the operations in order and in one transaction; return a result for each.

        Each follows the rules of its single method, and sees the effects of the earlier ones. A failed operation
        changes nothing, and the others are done; but if `atomic`, the first failure raises OperationFailed and nothing
        is written.
        """

        def planned(snapshot: Snapshot, now: datetime) -> Plan:
            made = plan(operations, snapshot, owner=owner, quota=self._quota, now=now, trash_kept=self._trash_kept)
            if atomic and (failure := first_failure(made, snapshot)) is not None:
                raise failure
            return made

        return settled(*await self._keep(owner, keys_of(operations), planned, deadline))

    async def import_step(
        self, owner: UserId, file: Import, entries: Sequence[Entry], *, deadline: Deadline | None = None
    ) -> Sequence[Outcome]:
        """Import the next entries of a file, at most MOST_OPERATIONS, in one transaction; return an outcome for each.

        A step that raises an error changes nothing, and may be repeated, except after ErasedMeanwhile: the import must
        then end, because nothing of it is left.
        """

        def planned(snapshot: Snapshot, now: datetime) -> Plan:
            file.go_on(snapshot)
            return plan_import(
                entries,
                snapshot,
                source=file.source,
                named=file.named,
                owner=owner,
                quota=self._quota,
                now=now,
                trash_kept=self._trash_kept,
            )

        made, kept = await self._keep(owner, keys_of_entries(entries, file.source, owner), planned, deadline)
        ids = (done.task.id for done in settled(made, kept) if isinstance(done, Done) and done.task)
        writes = made.changes.writes
        file.done(ids, kept.revision + writes if writes else None)
        return [outcome_of(result, made.changes.revision) for result in made.results]

    async def _keep(
        self,
        owner: UserId,
        keys: Collection[Key],
        planned: Callable[[Snapshot, datetime], Plan],
        deadline: Deadline | None,
    ) -> tuple[Plan, Kept]:
        """Read a snapshot of these keys, plan, and apply the plan; plan again if another write came first."""
        deadline = deadline or Deadline.within()
        while True:
            now = self._clock()
            made = planned(await self._tasks.snapshot(owner, keys, deadline=deadline), now)
            if not made.changes.writes:
                return made, Kept(made.changes.revision, {})
            kept = await self._tasks.apply(owner, made.changes, now=now, trash_kept=self._trash_kept, deadline=deadline)
            if kept is not None:
                return made, kept
            if deadline.left() < 0:
                raise Unavailable("too many concurrent changes of these tasks: try again")
