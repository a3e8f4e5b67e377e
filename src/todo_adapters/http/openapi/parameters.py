"""The parameters in path, query and headers, with the limits of the code."""

from __future__ import annotations

from typing import Any, Final

from todo_adapters.http.openapi.examples import COUNTER, GROCERIES, OWNER, RENT, named
from todo_adapters.http.openapi.schemas import reference
from todo_adapters.http.protocol.conditional import etag_of, list_etag
from todo_adapters.http.protocol.json_types import TEXT, UID_FORM
from todo_adapters.http.protocol.parameters import FORMATS, LONGEST_SEARCH, LONGEST_WAIT, SORTS
from todo_domain.changes import LARGEST_PAGE
from todo_domain.owner import LARGEST_ID, LONGEST_USER_ID
from todo_domain.task import LONGEST_TAG, MOST_TAGS

Parameter = dict[str, Any]

_ENTITY_TAG: Final = '(?:W/)?"[!#-~]*"'
_CONDITION: Final = rf"^(?:\*|{_ENTITY_TAG}(?:, ?{_ENTITY_TAG})*)$"
_KEY: Final = r'^(?:"(?:[!#-\[\]-~]|\\["\\]){1,255}"|[!#-~][!-~]{0,254})$'
_SORT_NAMES: Final = [sort.field.upper() + "_DESCENDING" * sort.descending for sort in SORTS.values()]
"""The names of the orders in a generated enum, because a name cannot begin with a minus."""

_DATE: Final = {"type": "string", "format": "date"}


def _query(name: str, description: str, schema: dict[str, Any], **more: object) -> Parameter:
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def _header(name: str, description: str, schema: dict[str, Any], **more: object) -> Parameter:
    return {"name": name, "in": "header", "description": description, "schema": schema, **more}


SHARED_PARAMETERS: Final[dict[str, Parameter]] = {
    "UserId": {
        "name": "user_id",
        "in": "path",
        "required": True,
        "description": "The token's `sub`, percent-encoded, or `me`. Different encodings of one user id are one user.",
        "schema": {"type": "string", "minLength": 1},
        "example": "me",
    },
    "TaskKey": {
        "name": "key",
        "in": "path",
        "required": True,
        "description": "The task's `id`, in plain decimal, or its `uid`.",
        "schema": {
            "anyOf": [
                {"type": "integer", "format": "int64", "minimum": 1, "maximum": LARGEST_ID},
                {"type": "string", **UID_FORM},
            ]
        },
        "example": GROCERIES.id,
    },
    "IfMatch": _header(
        "If-Match",
        "The `ETag` of the client's copy, a list of them, or `*`. If the task is at another revision: 412. "
        '`W/"17"` counts as `"17"`, because proxies that compress make tags weak.',
        {"type": "string", "pattern": _CONDITION},
        example=etag_of(GROCERIES).decode(),
    ),
    "IfNoneMatch": _header(
        "If-None-Match",
        "The `ETag`s of the client's copies, or `*`: 304 if one is current.",
        {"type": "string", "pattern": _CONDITION},
        example=list_etag(OWNER, COUNTER).decode(),
    ),
    "CreateOnly": _header(
        "If-None-Match",
        "`*`: create the task, or 412 if it exists. Other values are ignored.",
        {"type": "string"},
        example="*",
    ),
    "IdempotencyKey": _header(
        "Idempotency-Key",
        "Makes the write safe to repeat for 7 days, or until the user has 100,000 newer keys: a quoted string or bare, "
        "1 to 255 characters from 0x21 to 0x7E. "
        "A repetition of a POST gets the first response again; of any other write, the task as it is now.",
        {"type": "string", "pattern": _KEY},
        example="8e03978e-40d5-43e8-bc93-6894a57f9324",
    ),
    "RequestId": _header(
        "X-Request-ID",
        "Returned in the response if it is 1 to 128 of `A-Za-z0-9._-`; otherwise replaced.",
        {"type": "string"},
    ),
}

_PAGE: Final = {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE}

PAGE_PARAMETERS: Final = [
    _query("limit", "The most tasks in one page. Without it: the whole list.", _PAGE, examples=named(first_page=1)),
    _query(
        "cursor",
        "The start of the page: from the `Link` of the previous page, with the same other parameters. Needs `limit`.",
        {"type": "string", "minLength": 1},
    ),
]

LIST_PARAMETERS: Final = [
    _query(
        "status",
        "Only tasks of this status.",
        reference("Status"),
        examples=named(complete="complete"),
    ),
    _query("completed", "The twin of `status`; they must not contradict each other.", {"type": "boolean"}),
    _query(
        "q",
        "A substring of title or description, ignoring case. `%`, `_` and `\\` are ordinary characters. "
        "An empty one is ignored.",
        {"type": "string", "maxLength": LONGEST_SEARCH, **TEXT},
        examples=named(searched="RENT"),
    ),
    _query(
        "priority",
        "Only tasks of these priorities. May be repeated, or be one value with commas between the priorities.",
        {"type": "array", "minItems": 1, "items": reference("Priority")},
        style="form",
        explode=True,
        examples=named(searched=["medium", "high"]),
    ),
    _query(
        "tag",
        "A task must have all of these tags, ignoring case. May be repeated.",
        {
            "type": "array",
            "maxItems": MOST_TAGS,
            "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_TAG, **TEXT},
        },
        style="form",
        explode=True,
        examples=named(searched=["Home", "money"]),
    ),
    _query("due_before", "Only tasks due before this day.", _DATE),
    _query("due_after", "Only tasks due on this day or later.", _DATE, examples=named(searched="2026-11-01")),
    _query(
        "due",
        "Only tasks with a due date, or only those without.",
        {"type": "string", "enum": ["none", "any"]},
    ),
    _query(
        "sort",
        "The order; `-` reverses it. Tasks without a value are always last. Ties: by id, in the same direction.",
        {"type": "string", "enum": list(SORTS), "default": "-created_at", "x-enum-varnames": _SORT_NAMES},
        examples=named(searched="-due_date"),
    ),
    *PAGE_PARAMETERS,
]

CHANGES_PARAMETERS: Final = [
    _query(
        "since",
        "The `revision` of the client's copy. Without it, or with 0: the whole state, without regard to `limit`.",
        {"type": "integer", "format": "int64", "minimum": 0, "maximum": LARGEST_ID, "default": 0},
        examples=named(what_changed=RENT.revision, a_page_of_it=RENT.revision, nothing_new=COUNTER),
    ),
    _query(
        "limit",
        "The most tasks and deletions together in one page.",
        {**_PAGE, "default": LARGEST_PAGE},
        examples=named(a_page_of_it=1),
    ),
    _query(
        "wait",
        "Seconds for which the response may wait until there are changes after `since`. Needs `since`.",
        {"type": "integer", "minimum": 1, "maximum": LONGEST_WAIT},
        examples=named(nothing_new=25),
    ),
]

EVENTS_PARAMETERS: Final = [
    _header(
        "Last-Event-ID",
        "The id of the last event that the client has read.",
        {"type": "string"},
        example=str(RENT.revision),
    ),
    _query(
        "lastEventId",
        "The same, for clients that cannot set headers.",
        {"type": "string"},
        example=str(RENT.revision),
    ),
    _query(
        "since",
        "The `revision` of the client's copy.",
        {"type": "integer", "format": "int64", "minimum": 0, "maximum": LARGEST_ID},
        example=RENT.revision,
    ),
]

EXPORT_PARAMETERS: Final = [
    _query(
        "format",
        "`json` for other programs, `csv` for spreadsheets, `ics` for calendars.",
        {"type": "string", "enum": list(FORMATS), "default": "json"},
        examples=named(everything="json"),
    )
]

ERASE_PARAMETERS: Final = [
    _query(
        "confirm",
        "The user id itself, also if the path has `me`, to confirm that all data of this user is erased.",
        {"type": "string", "minLength": 1, "maxLength": LONGEST_USER_ID},
        required=True,
        example=OWNER,
    )
]


def shared(name: str) -> dict[str, str]:
    """Return a reference to a shared parameter."""
    return {"$ref": f"#/components/parameters/{name}"}
