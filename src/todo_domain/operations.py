"""The operations of a batch, and what becomes of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from todo_domain.errors import TodoError
from todo_domain.naming import Key
from todo_domain.put import Put
from todo_domain.task import Members, Task

MOST_OPERATIONS: Final = 100
"""Operations of one batch."""


class PutTask(NamedTuple):
    """What a PUT of this key does."""

    key: Key
    put: Put


class PatchTask(NamedTuple):
    """What a PATCH of this key does. `if_match` is as in `TaskService`."""

    key: Key
    members: Members
    if_match: Collection[int] | None = None


class DeleteTask(NamedTuple):
    """What a DELETE of this key does. `if_match` is as in `TaskService`."""

    key: Key
    if_match: Collection[int] | None = None


class Refused(NamedTuple):
    """An operation that cannot be read: its result is the error, whatever there is under the key."""

    key: Key
    error: TodoError


Operation = PutTask | PatchTask | DeleteTask | Refused


class Done(NamedTuple):
    """The result of an operation that succeeded: the task as it was then, None after a deletion."""

    task: Task | None
    created: bool = False


Result = Done | TodoError
"""What became of one operation. An error is returned, not raised: the other operations go on."""


class OperationFailed(TodoError):
    """The first operation of an atomic batch that failed; nothing was written.

    `known` is false if what the error shows was made or deleted by the batch itself, so that it does not exist.
    """

    def __init__(self, index: int, error: TodoError, *, known: bool) -> None:
        super().__init__(str(error))
        self.index = index
        self.error = error
        self.known = known


def keys_of(operations: Sequence[Operation]) -> list[Key]:
    """Return the keys that a snapshot for these operations has to look up, each once."""
    return list(dict.fromkeys(each.key for each in operations if not isinstance(each, Refused)))
