"""Everything that can go wrong for a caller: few kinds, each with the code that programs see."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from todo_domain.task import Task


class TodoError(Exception):
    """A refusal with a stable `code`; `str()` of it is one sentence that is safe to show to the caller."""

    code: ClassVar[str]


class Invalid(TodoError):
    """A value breaks a rule. `field` names the member, parameter or header; `message` goes on from that name."""

    code = "invalid"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


class Unauthenticated(TodoError):
    """Nobody known is calling. `reason` is a code for the audit log; the sentence says what to do."""

    code = "unauthenticated"

    def __init__(self, reason: str, message: str = "the token is not valid: sign in again") -> None:
        super().__init__(message)
        self.reason = reason


class Forbidden(TodoError):
    """The caller is known, and asks for a place that belongs to somebody else."""

    code = "forbidden"

    def __init__(self) -> None:
        super().__init__("this path belongs to another user: use your own user id, or me")


class NotFound(TodoError):
    """This owner has no such task. That somebody else may have one is not known, here or to the caller."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("there is no such task")


class Stale(TodoError):
    """The task has moved on since the caller looked; `current` is the task as it is now."""

    code = "stale"

    def __init__(self, current: Task) -> None:
        super().__init__("the task has changed since you read it: look at current and decide again")
        self.current = current


class QuotaReached(TodoError):
    """The owner has as many tasks as one user may have."""

    code = "quota"

    def __init__(self, quota: int) -> None:
        super().__init__(f"you have {quota} tasks, which is the most there can be: delete some first")


class Resync(TodoError):
    """What changed since that revision can no longer be told, or the revision comes from another life of the data."""

    code = "resync"

    def __init__(self) -> None:
        super().__init__("changes since that revision are not known: drop your copy and ask again without since")


class KeyReused(TodoError):
    """An Idempotency-Key came back with another body than the one it stood for."""

    code = "idempotency_mismatch"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for another body: use a new key for a new task")


class Unavailable(TodoError):
    """Something this service stands on is out of reach for the moment.

    `outcome_unknown` is true only for a write that may or may not have happened; otherwise nothing was written.
    `retry_after` is in seconds. The sentence never names a host, a user or a library.
    """

    code = "unavailable"

    def __init__(self, message: str, *, outcome_unknown: bool = False, retry_after: int = 1) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown
        self.retry_after = retry_after


class NotIsolated(Unavailable):
    """The store's own wall between users, where it has one, is down; the service's comparison stands alone."""
