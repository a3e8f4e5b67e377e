"""The data that a store reads and writes for a batch: a snapshot of the named tasks, and the changes to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from todo_domain.changes import Tombstone
from todo_domain.task import Task

_NOTHING: Final[Mapping[int, Task]] = MappingProxyType({})


class Snapshot(NamedTuple):
    """The user's counter, horizon and number of tasks, and the tasks and tombstones under the keys of a batch.

    All are of one moment. A user who never wrote has counter and horizon 0. `trashed` are the tasks that the trash
    holds, expired or not, by id; each has its tombstone among `tombstones`. Of other deleted tasks the tombstones are
    needed under uids only.
    """

    revision: int
    horizon: int
    task_count: int
    tasks: Sequence[Task]
    tombstones: Sequence[Tombstone]
    trashed: Mapping[int, Task] = _NOTHING


class Changeset(NamedTuple):
    """The changes of a batch, and their preconditions.

    Each operation that changes something takes one revision, `revision + 1` the first. `tasks` are kept; those in
    `deleted` go to the trash and leave a tombstone. A task has the revision of the last operation that changed or
    deleted it, and both sequences are in ascending order of revision. A task that the batch makes has id 0 and a uid,
    also if the batch deletes it. The store adds to each revision how far its counter is beyond `revision`, and gives
    the uids in `made` their ids in this order. All else of a task is kept as it is here, `created_at` too.

    `tombstones` are those that are removed, by id, each with its revision; the horizon stays. What the trash holds of
    one goes with it. A task in `tasks` of such an id is restored: it is inserted under that id.

    It may be kept only while each task of `expected` and each of `tombstones` is at its revision, the trash holds each
    task that is restored, no uid of `absent` has a task or a tombstone, the number of tasks is from `least` to `most`,
    the horizon is at most `revision` (else the user was erased meanwhile), and, if `exact`, the counter is still
    `revision`.
    """

    revision: int
    writes: int
    made: Sequence[str]
    tasks: Sequence[Task]
    deleted: Sequence[Task]
    tombstones: Mapping[int, int]
    expected: Mapping[int, int]
    absent: Sequence[str]
    least: int
    most: int
    exact: bool

    @property
    def restored(self) -> list[int]:
        """The ids of the tasks that come back from the trash."""
        return [task.id for task in self.tasks if task.id in self.tombstones]

    @property
    def growth(self) -> int:
        """The increase of the user's number of tasks."""
        made = sum(task.id == 0 for task in self.tasks)
        return made + len(self.restored) - sum(task.id != 0 for task in self.deleted)


class Kept(NamedTuple):
    """The values that the store assigned to a changeset: the counter before it, and the id of each uid in `made`."""

    revision: int
    ids: Mapping[str, int]
