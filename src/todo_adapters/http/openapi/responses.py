"""The responses: each status with its headers, its schema and its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from todo_adapters.http.middleware.edge import HEADER_SECTION_LIMIT, check_header_section
from todo_adapters.http.openapi.examples import (
    DELETED,
    GROCERIES,
    REQUEST_ID,
    Named,
    error_of,
    named,
    refusal,
)
from todo_adapters.http.openapi.headers import HEADERS
from todo_adapters.http.openapi.schemas import reference
from todo_adapters.http.protocol.body import check_media_type, check_size
from todo_adapters.http.protocol.errors import (
    JSON_TYPES,
    BodyTooLarge,
    Bug,
    HeadersTooLarge,
    NoSuchFeed,
    NoSuchRoute,
    RateLimited,
    RequestFacts,
    UnsupportedMediaType,
    refusal_of,
    rule_of,
)
from todo_domain import (
    Exists,
    Forbidden,
    Gone,
    Invalid,
    KeyReused,
    NotFound,
    QuotaReached,
    Resync,
    Stale,
    TodoError,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Responses = dict[str, dict[str, Any]]

_EVERYWHERE: Final = (
    "X-Request-ID",
    "X-Content-Type-Options",
    "Cache-Control",
    "Vary",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
)


def response(
    description: str,
    schema: dict[str, Any] | None = None,
    *,
    headers: dict[str, str] | None = None,
    examples: Named | None = None,
    media_type: str = "application/json",
) -> dict[str, Any]:
    """Return one response. `headers` maps its own header names to shared headers; "" stands for the same name."""
    listed = dict.fromkeys(_EVERYWHERE, "") | (headers or {})
    response: dict[str, Any] = {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{shared or name}"} for name, shared in listed.items()},
    }
    if schema is not None:
        response["content"] = {media_type: {"schema": schema, **({"examples": examples} if examples else {})}}
    return response


_SPELT: Final = {name.lower(): name for name in HEADERS}
_SHARED: Final[dict[str, type[TodoError]]] = {
    "Unauthenticated": Unauthenticated,
    "Forbidden": Forbidden,
    "NoSuchTask": NotFound,
    "NoSuchRoute": NoSuchRoute,
    "NoSuchFeed": NoSuchFeed,
    "QuotaReached": QuotaReached,
    "Resync": Resync,
    "Stale": Stale,
    "StaleOrExists": Exists,
    "Gone": Gone,
    "BatchTooLarge": BodyTooLarge,
    "ImportTooLarge": BodyTooLarge,
    "BodyTooLarge": BodyTooLarge,
    "NotJson": UnsupportedMediaType,
    "NotAPatch": UnsupportedMediaType,
    "KeyReused": KeyReused,
    "RateLimited": RateLimited,
    "HeadersTooLarge": HeadersTooLarge,
    "Internal": Bug,
    "Unavailable": Unavailable,
}
"""The error of each shared response."""


def refused(
    description: str, raised: Mapping[str, TodoError | Callable[[], object]], *, patch: bool = False
) -> dict[str, Any]:
    """Return the response to errors of one status, with the headers, the schema and the examples of these errors."""
    errors = {name: error_of(each) for name, each in raised.items()}
    refusals = [refusal_of(each, REQUEST_ID, RequestFacts(token_sent=True, patch=patch)) for each in errors.values()]
    headers = {_SPELT[name.decode()]: "" for name, _ in refusals[0].headers}
    if "ETag" in headers and not all(each.headers for each in refusals):
        headers["ETag"] = "Current-ETag"
    schemas = [
        reference(body.__name__.removesuffix("Out")) for body in dict.fromkeys(type(each.body) for each in refusals)
    ]
    schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    examples = named(**{name: refusal(error) for name, error in errors.items()})
    return response(description, schema, headers=headers, examples=examples)


def invalid(**calls: Callable[[], object]) -> Responses:
    """Return the 400 of an operation; the examples are the errors that these calls raise."""
    return {
        str(rule_of(Invalid).status): refused(
            "A member, parameter, header or path id breaks its rule: `fields` names it.", calls
        )
    }


def common_responses(*, body_limit: int, batch_limit: int, import_limit: int, quota: int) -> Responses:
    """Return the errors that several operations share, by name."""

    def not_json() -> None:
        check_media_type(b"text/plain", None, JSON_TYPES)

    return {
        "Unauthenticated": refused("No valid token.", {"bad_token": Unauthenticated("signature")}),
        "Forbidden": refused("The path's user is not the token's.", {"other_user": Forbidden()}),
        "NoSuchTask": refused("No such task of this user.", {"no_such_task": NotFound()}),
        "NoSuchRoute": refused("There is no such path.", {"no_such_path": NoSuchRoute()}),
        "NoSuchFeed": refused("The token opens no feed.", {"no_such_feed": NoSuchFeed()}),
        "QuotaReached": refused(f"The user has {quota:,} tasks already.", {"quota": QuotaReached(quota)}),
        "Resync": refused(
            "The history since that revision was purged, or the revision predates a restore.", {"resync": Resync()}
        ),
        "Stale": refused(
            "`If-Match`, or the `revision` in a PUT, failed; `current` is the task as it is now.",
            {"stale": Stale(GROCERIES)},
        ),
        "StaleOrExists": refused(
            "`If-Match`, or the `revision` in the body, failed; or, with `If-None-Match: *`, the task exists. "
            "`current` is the task as it is now.",
            {"stale": Stale(GROCERIES), "exists": Exists(GROCERIES)},
        ),
        "Gone": refused(
            "The task of this uid was deleted; `deleted` is its tombstone.",
            {"gone": Gone(DELETED, restorable=True)},
        ),
        "BatchTooLarge": refused(
            f"The body has more than {batch_limit:,} bytes.",
            {"too_large": lambda: check_size(batch_limit + 1, batch_limit)},
        ),
        "ImportTooLarge": refused(
            f"The body has more than {import_limit:,} bytes.",
            {"too_large": lambda: check_size(import_limit + 1, import_limit)},
        ),
        "BodyTooLarge": refused(
            f"The body has more than {body_limit:,} bytes.",
            {"too_large": lambda: check_size(body_limit + 1, body_limit)},
        ),
        "NotJson": refused(
            "The body is not `application/json` in UTF-8 without `Content-Encoding`.", {"not_json": not_json}
        ),
        "NotAPatch": refused(
            "The body has a media type outside `Accept-Patch`, is not in UTF-8, or has a `Content-Encoding`.",
            {"not_json": not_json},
            patch=True,
        ),
        "KeyReused": refused("The key was used for another request.", {"key_reused": KeyReused()}),
        "RateLimited": refused("Too many requests.", {"rate_limited": RateLimited(retry_after=1)}),
        "HeadersTooLarge": refused(
            f"The header section, or the request target, has more than {HEADER_SECTION_LIMIT:,} bytes.",
            {"headers_too_large": lambda: check_header_section(HEADER_SECTION_LIMIT + 1)},
        ),
        "Internal": refused("A bug of the service, logged with the request id.", {"internal": Bug()}),
        "Unavailable": refused(
            "The database or the key set is out of reach, or there are too many requests at once. "
            "Nothing was written, unless `outcome` is `unknown`.",
            {
                "unavailable": Unavailable("the database is out of reach: try again"),
                "outcome_unknown": Unavailable(
                    "the database went away: look before you try again", outcome_unknown=True
                ),
            },
        ),
    }


def common(*names: str) -> Responses:
    """Return references to shared responses, each under the status of its error."""
    return {str(rule_of(_SHARED[name]).status): {"$ref": f"#/components/responses/{name}"} for name in names}


EVERY_ROUTE: Final = common("HeadersTooLarge", "Internal")
BELOW_API: Final = common("Unauthenticated", "Forbidden", "RateLimited", "Unavailable") | EVERY_ROUTE
ONE_TASK: Final = common("NoSuchTask") | BELOW_API
CONDITIONAL: Final = common("Stale") | ONE_TASK
WRITE: Final = common("Gone", "KeyReused") | CONDITIONAL
