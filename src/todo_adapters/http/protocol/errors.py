"""The table of errors: status, headers and body of each. Every error response, such as a 412, is made here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from msgspec import UNSET

from todo_adapters.http.protocol.conditional import etag_of
from todo_adapters.http.protocol.methods import allow
from todo_adapters.http.protocol.problems import (
    BatchProblemOut,
    ExistsProblemOut,
    FieldProblem,
    GoneProblemOut,
    ProblemOut,
    StaleProblemOut,
)
from todo_adapters.http.protocol.response import JSON, NO_STORE, Header, Response, encode
from todo_adapters.http.protocol.schemas import tombstone_out
from todo_adapters.http.protocol.task_json import task_out
from todo_domain import (
    Exists,
    Forbidden,
    Gone,
    Invalid,
    KeyReused,
    NotFound,
    OperationFailed,
    QuotaReached,
    Resync,
    Stale,
    TodoError,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from litestar.exceptions import HTTPException

JSON_TYPES: Final = (b"application/json",)
PATCH_TYPES: Final = (*JSON_TYPES, b"application/merge-patch+json")
"""The media types of a body; a PATCH accepts more."""

log = logging.getLogger("todo.http")


class TooLarge(TodoError):
    """A part of the request is over its limit."""

    code = "too_large"


class BodyTooLarge(TooLarge):
    """The body is over its limit."""


class HeadersTooLarge(TooLarge):
    """A header section, a trailer section or a request target is over its limit."""


class UnsupportedMediaType(TodoError):
    """The body has a media type or an encoding that this operation does not accept."""

    code = "unsupported_media_type"


class NoSuchRoute(TodoError):
    """The path does not exist."""

    code = "not_found"

    def __init__(self) -> None:
        super().__init__("there is no such path: those of the API begin with /api/ and your user id, or /api/me")


class NoSuchFeed(TodoError):
    """A token that opens no calendar feed, whomever it names and for whatever reason."""

    code = "not_found"
    reason = "feed"

    def __init__(self) -> None:
        super().__init__("there is no such feed: make a new one, and use its url")


class MethodNotAllowed(TodoError):
    """The path does not have this method; `allow` lists the methods it has."""

    code = "method_not_allowed"

    def __init__(self, allow: str) -> None:
        super().__init__(f"this path only has {allow}")
        self.allow = allow


class RateLimited(TodoError):
    """Too many requests; `retry_after` is in seconds.

    `reason` is the code of the limit for the audit log. `problem` begins the sentence for the caller.
    """

    code = "rate_limited"

    def __init__(self, retry_after: int, reason: str = "user", problem: str = "too many requests") -> None:
        super().__init__(f"{problem}: try again in {retry_after} s")
        self.retry_after = retry_after
        self.reason = reason


class Bug(TodoError):
    """An unexpected exception; the log has its stack."""

    code = "internal"

    def __init__(self) -> None:
        super().__init__("the service has a bug: report the request_id to its operator")


E = TypeVar("E", bound=TodoError)
Problem = ProblemOut | ExistsProblemOut | GoneProblemOut | StaleProblemOut


class RequestFacts(NamedTuple):
    """The properties of the request that the headers of an error depend on.

    `token_sent`: whether the request has a Bearer token (RFC 6750, section 3). `patch`: whether the method is PATCH,
    whose media types a 415 lists (RFC 5789, section 2.2).
    """

    token_sent: bool = False
    patch: bool = False


_NO_FACTS: Final = RequestFacts()


def _problem(error: TodoError, request_id: str) -> ProblemOut:
    return ProblemOut(error=str(error), code=error.code, request_id=request_id)


def _no_headers(error: TodoError, facts: RequestFacts) -> list[Header]:  # noqa: ARG001  most errors have none of their own
    return []


class ErrorRule(NamedTuple, Generic[E]):
    """The response to the errors of one class: the status, the error's own headers, and the body."""

    status: int
    headers: Callable[[E, RequestFacts], list[Header]] = _no_headers
    body: Callable[[E, str], Problem] = _problem


def _invalid(error: Invalid, request_id: str) -> Problem:
    out = _problem(error, request_id)
    out.fields = [FieldProblem(error.field, error.message)]
    return out


def _stale(error: Stale, request_id: str) -> Problem:
    return StaleProblemOut(error=str(error), code="stale", current=task_out(error.current), request_id=request_id)


def _exists(error: Exists, request_id: str) -> Problem:
    return ExistsProblemOut(error=str(error), code="exists", current=task_out(error.current), request_id=request_id)


def _gone(error: Gone, request_id: str) -> Problem:
    deleted, restorable = tombstone_out(error.deleted), error.restorable
    return GoneProblemOut(error=str(error), code="gone", deleted=deleted, restorable=restorable, request_id=request_id)


def _current(error: Stale | Exists, _: RequestFacts) -> list[Header]:
    return [(b"etag", etag_of(error.current))]


def _unavailable(error: Unavailable, request_id: str) -> Problem:
    out = _problem(error, request_id)
    out.outcome = "unknown" if error.outcome_unknown else UNSET
    return out


def _challenge(error: Unauthenticated, facts: RequestFacts) -> list[Header]:
    """Return the challenge of RFC 6750, section 3, with the code of the reason if a Bearer token was refused."""
    reason = error.reason if facts.token_sent and error.reason.isidentifier() else None
    reason_parameters = f', error="invalid_token", error_description="{reason}"' if reason else ""
    return [(b"www-authenticate", f'Bearer realm="todo"{reason_parameters}'.encode("ascii", "ignore"))]


def _accept_patch(_: UnsupportedMediaType, facts: RequestFacts) -> list[Header]:
    return [(b"accept-patch", b", ".join(PATCH_TYPES))] if facts.patch else []


def _retry_after(error: Unavailable | RateLimited, _: RequestFacts) -> list[Header]:
    return [(b"retry-after", b"%d" % error.retry_after)]


ERRORS: Final[dict[type[TodoError], ErrorRule[Any]]] = {
    Invalid: ErrorRule(400, body=_invalid),
    Unauthenticated: ErrorRule(401, _challenge),
    Forbidden: ErrorRule(403),
    NotFound: ErrorRule(404),
    NoSuchRoute: ErrorRule(404),
    NoSuchFeed: ErrorRule(404),
    MethodNotAllowed: ErrorRule(405, lambda error, _: [(b"allow", error.allow.encode())]),
    QuotaReached: ErrorRule(409),
    Resync: ErrorRule(410),
    Gone: ErrorRule(410, body=_gone),
    Stale: ErrorRule(412, _current, _stale),
    Exists: ErrorRule(412, _current, _exists),
    BodyTooLarge: ErrorRule(413),
    UnsupportedMediaType: ErrorRule(415, _accept_patch),
    KeyReused: ErrorRule(422),
    RateLimited: ErrorRule(429, _retry_after),
    HeadersTooLarge: ErrorRule(431),
    Bug: ErrorRule(500),
    Unavailable: ErrorRule(503, _retry_after, _unavailable),
}
"""Every error that a client can get; an error of another class is answered like its base. OpenAPI's responses come from
it."""


def rule_of(error: type[TodoError]) -> ErrorRule[Any]:
    """Return the entry of an error class in the table."""
    return next(ERRORS[each] for each in error.__mro__ if each in ERRORS)


class Refusal(NamedTuple):
    """The response to one error: its status, its own headers, and its body."""

    status: int
    headers: list[Header]
    body: Problem | BatchProblemOut


def refusal_of(error: TodoError, request_id: str, facts: RequestFacts = _NO_FACTS) -> Refusal:
    """Return the response to this error; for a batch it has the index of the operation that failed."""
    if not isinstance(error, OperationFailed):
        rule = rule_of(type(error))
        return Refusal(rule.status, rule.headers(error, facts), rule.body(error, request_id))
    failed, index = error.error, error.index
    rule = rule_of(type(failed))
    if not error.known:
        problem = BatchProblemOut(error=str(failed), code=failed.code, index=index, request_id=request_id)
        return Refusal(rule.status, [], problem)
    body = rule.body(failed, request_id)
    body.index = index
    return Refusal(rule.status, rule.headers(failed, facts), body)


def error_response(error: TodoError, request_id: str, facts: RequestFacts = _NO_FACTS) -> Response:
    """Return the response to this error."""
    refusal = refusal_of(error, request_id, facts)
    return Response(refusal.status, encode(refusal.body), [JSON, NO_STORE, *refusal.headers])


def bug_response(error: BaseException, request_id: str) -> Response:
    """Log an unexpected exception with its stack, and return a 500."""
    log.error("unexpected %s", type(error).__name__, exc_info=error, extra={"request_id": request_id})
    return error_response(Bug(), request_id)


def routing_error(path: str, error: HTTPException) -> TodoError:
    """Return the error that corresponds to Litestar's routing error for this path."""
    if error.status_code == 405:
        return MethodNotAllowed(allow(path, (error.headers or {})["allow"].split(", ")))
    return NoSuchRoute()
