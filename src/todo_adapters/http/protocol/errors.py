"""How a refusal is said over HTTP: one table from code to status, one shape for all."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Struct

from todo_adapters.http.protocol.conditional import etag_of
from todo_adapters.http.protocol.methods import allow
from todo_adapters.http.protocol.response import JSON, NO_STORE, Answer, Header, encode
from todo_adapters.http.protocol.schemas import FieldProblem, ProblemOut, StaleProblemOut, task_out
from todo_domain import Invalid, Stale, TodoError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from litestar.exceptions import HTTPException

JSON_TYPES: Final = (b"application/json",)
PATCH_TYPES: Final = (*JSON_TYPES, b"application/merge-patch+json")
"""What a body may be; a PATCH may be more."""

log = logging.getLogger("todo.http")

STATUS: Final = {
    "invalid": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "quota": 409,
    "resync": 410,
    "stale": 412,
    "unsupported_media_type": 415,
    "idempotency_mismatch": 422,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
}
"""The status of each code but `too_large`, which is 413 for a body and 431 for a header section."""


class TooLarge(TodoError):
    """More bytes than are read: `status` tells of what."""

    code = "too_large"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class UnsupportedMediaType(TodoError):
    """A body that is not what this operation reads."""

    code = "unsupported_media_type"


class NoSuchRoute(TodoError):
    """A path that the service does not have."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("there is no such path: see /openapi.json for those there are")


class MethodNotAllowed(TodoError):
    """A path that does not have this method; `allow` lists those it has."""

    code = "method_not_allowed"

    def __init__(self, allow: str) -> None:
        super().__init__(f"this path only has {allow}")
        self.allow = allow


class RateLimited(TodoError):
    """Too many requests; `retry_after` in seconds. `reason` says of what, as a code for the audit log."""

    code = "rate_limited"

    def __init__(self, retry_after: int, reason: str = "user") -> None:
        super().__init__(f"too many requests: try again in {retry_after} s")
        self.retry_after = retry_after
        self.reason = reason


class Bug(TodoError):
    """What nobody expected; the log has the rest."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("something is wrong on our side: tell us the request_id")


def error_answer(error: TodoError, request_id: str, *, token_sent: bool = False, patch: bool = False) -> Answer:
    """Return the answer that says this refusal.

    `token_sent` tells whether a Bearer token came with the request (RFC 6750, section 3); `patch` whether the method
    was PATCH, whose media types are named then (RFC 5789, section 2.2).
    """
    out = ProblemOut(error=str(error), code=error.code, request_id=request_id)
    body: Struct = out
    headers: list[Header] = [JSON, NO_STORE]
    if isinstance(error, Invalid):
        out.fields = [FieldProblem(error.field, error.message)]
    elif isinstance(error, Stale):
        current = task_out(error.current)
        body = StaleProblemOut(error=str(error), code="stale", current=current, request_id=request_id)
        headers.append((b"etag", etag_of(error.current)))
    elif isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", _challenge(error.reason if token_sent else None)))
    elif isinstance(error, Unavailable | RateLimited):
        headers.append((b"retry-after", b"%d" % error.retry_after))
        if isinstance(error, Unavailable):
            out.outcome = "unknown" if error.outcome_unknown else UNSET
    elif isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow.encode()))
    elif isinstance(error, UnsupportedMediaType) and patch:
        headers.append((b"accept-patch", b", ".join(PATCH_TYPES)))
    status = error.status if isinstance(error, TooLarge) else STATUS[error.code]
    return Answer(status, encode(body), headers)


def _challenge(reason: str | None) -> bytes:
    """Return the challenge of RFC 6750, section 3, with the code of the reason if a Bearer token was refused."""
    told = f', error="invalid_token", error_description="{reason}"' if reason and reason.isidentifier() else ""
    return f'Bearer realm="todo"{told}'.encode("ascii", "ignore")


def bug_answer(error: BaseException, request_id: str) -> Answer:
    """Log a bug with its stack and return the answer that admits it."""
    log.error("unexpected %s", type(error).__name__, exc_info=error, extra={"request_id": request_id})
    return error_answer(Bug(), request_id)


def routing_error(path: str, error: HTTPException) -> TodoError:
    """Return the refusal that Litestar's routing of this path means."""
    if error.status_code == 405:
        return MethodNotAllowed(allow(path, (error.headers or {})["allow"].split(", ")))
    return NoSuchRoute()
