"""The operations of a batch, and their results."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from todo_domain.errors import TodoError
from todo_domain.naming import Key
from todo_domain.put import Put
from todo_domain.task import Members, Task

MOST_OPERATIONS: Final = 100
"""The most operations of one batch."""


class PutTask(NamedTuple):
    """The operation of a PUT of this key."""

    key: Key
    put: Put


class PatchTask(NamedTuple):
    """The operation of a PATCH of this key. `if_match` is as in `TaskService`."""

    key: Key
    members: Members
    if_match: Collection[int] | None = None


class DeleteTask(NamedTuple):
    """The operation of a DELETE of this key. `if_match` is as in `TaskService`."""

    key: Key
    if_match: Collection[int] | None = None


class Refused(NamedTuple):
    """An operation that cannot be parsed: its result is the error, with or without a task under the key."""

    key: Key
    error: TodoError


Operation = PutTask | PatchTask | DeleteTask | Refused


class Done(NamedTuple):
    """The result of an operation that succeeded: the task as it was then, None after a deletion."""

    task: Task | None
    created: bool = False


Result = Done | TodoError
"""The result of one operation. An error is returned, not raised, because the other operations continue."""


class OperationFailed(TodoError):
    """The first operation of an atomic batch that failed; nothing was written.

    `known` is false if the batch itself created or deleted the task of the error, so that this state is not stored.
    """

    def __init__(self, index: int, error: TodoError, *, known: bool) -> None:
        super().__init__(str(error))
        self.index = index
        self.error = error
        self.known = known


def keys_of(operations: Sequence[Operation]) -> list[Key]:
    """Return the keys for the snapshot of these operations, each once."""
    return list(dict.fromkeys(each.key for each in operations if not isinstance(each, Refused)))
