"""The errors that a caller can get: a few classes, each with a code for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from todo_domain.changes import Tombstone
    from todo_domain.task import Task


class TodoError(Exception):
    """The base class. `code` is stable; `str()` is one sentence that is safe to show to the caller."""

    code: ClassVar[str]

    def without_frames(self) -> Self:
        """Forget where the error was raised, and return it. Otherwise, a kept error keeps the data of each frame."""
        self.__context__ = self.__cause__ = None
        return self.with_traceback(None)


class Invalid(TodoError):
    """A value breaks a rule. `field` names the member, parameter or header; `message` continues a sentence after it."""

    code = "invalid"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


class Unauthenticated(TodoError):
    """The caller is not authenticated. `reason` is a code for the audit log; `message` has the remedy."""

    code = "unauthenticated"

    def __init__(self, reason: str, message: str = "the token is not valid: sign in again") -> None:
        super().__init__(message)
        self.reason = reason


class Forbidden(TodoError):
    """The caller is known, but the path is another user's."""

    code = "forbidden"

    def __init__(self) -> None:
        super().__init__("this path belongs to another user: use your own user id, or me")


class NotFound(TodoError):
    """This owner has no such task. Neither the service nor the caller learns whether another user has one."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("there is no such task")


class Gone(TodoError):
    """The task of this uid was deleted; `deleted` is its tombstone, `restorable` is true if it is in the trash."""

    code = "gone"

    def __init__(self, deleted: Tombstone, *, restorable: bool = False) -> None:
        super().__init__("this task was deleted: use another uid for a new task")
        self.deleted = deleted
        self.restorable = restorable


class Exists(TodoError):
    """A task of this uid exists already; `current` is the present task."""

    code = "exists"

    def __init__(self, current: Task) -> None:
        super().__init__("this task exists already: current has the present task")
        self.current = current


class Stale(TodoError):
    """The task has changed since the caller read it; `current` is the present task."""

    code = "stale"

    def __init__(self, current: Task) -> None:
        super().__init__("the task has changed since you read it: merge your change into current and send it again")
        self.current = current


class QuotaReached(TodoError):
    """The owner has the most tasks that one user may have."""

    code = "quota"

    def __init__(self, quota: int) -> None:
        super().__init__(f"you have {quota} tasks, which is the limit: delete some first")


class Resync(TodoError):
    """The history since that revision was purged, or the revision predates a restore."""

    code = "resync"

    def __init__(self) -> None:
        super().__init__("the changes since that revision are unknown: drop your copy and request again without since")


class ErasedMeanwhile(Resync):
    """The user's data was erased between two steps of an import."""

    def __init__(self) -> None:
        TodoError.__init__(
            self,
            "your data was erased during this import: drop your copy, and send the file again if you want its tasks",
        )


class KeyReused(TodoError):
    """An Idempotency-Key was sent again with a different request."""

    code = "idempotency_mismatch"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for another request: use a new key for each")


class Repeated(TodoError):
    """A write was done before under this Idempotency-Key, and nothing was done now; its response is a success.

    `task` is the present task. It is None if a store raises this, and after a deletion.
    """

    def __init__(self, task: Task | None = None) -> None:
        super().__init__("this was done before")
        self.task = task


class Unavailable(TodoError):
    """A dependency such as the database cannot be reached at the moment.

    `outcome_unknown` is true only for a write that may or may not have happened; otherwise nothing was written.
    `retry_after` is in seconds. The message never names a host, a user or a library.
    """

    code = "unavailable"

    def __init__(self, message: str, *, outcome_unknown: bool = False, retry_after: int = 1) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown
        self.retry_after = retry_after


class BudgetExceeded(Unavailable):
    """The responses that are being read and sent use all the memory for responses."""

    def __init__(self) -> None:
        super().__init__("too many long responses are being sent: try again")


class NotIsolated(Unavailable):
    """The store's own protection between users, such as row-level security, is not in force."""
