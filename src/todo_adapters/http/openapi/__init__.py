"""The OpenAPI 3.1 document, generated from the code of the API: structs, limits, errors."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from todo_adapters.http.openapi.batch import BATCH
from todo_adapters.http.openapi.changes import CHANGES
from todo_adapters.http.openapi.events import EVENTS
from todo_adapters.http.openapi.feed import END_FEED, MAKE_FEED, READ_FEED
from todo_adapters.http.openapi.headers import HEADERS
from todo_adapters.http.openapi.operation import Operation
from todo_adapters.http.openapi.ops import CONTRACT, DOCS, DOCS_FILE, FRONT, LIVE, METRICS, READY
from todo_adapters.http.openapi.parameters import SHARED_PARAMETERS
from todo_adapters.http.openapi.portability import ERASE, EXPORT, IMPORT
from todo_adapters.http.openapi.responses import common_responses
from todo_adapters.http.openapi.schemas import schemas
from todo_adapters.http.openapi.tasks import COMPLETE, CREATE, DELETE, LIST, PATCH, PUT, READ
from todo_adapters.http.openapi.trash import DISCARD, EMPTY_TRASH, LIST_TRASH, RESTORE
from todo_adapters.http.protocol.body import DEFAULT_BATCH_LIMIT, DEFAULT_IMPORT_LIMIT, DEFAULT_LIMIT
from todo_adapters.http.protocol.response import encode
from todo_domain.owner import DEFAULT_QUOTA

if TYPE_CHECKING:
    from collections.abc import Iterable

OPERATIONS: Final = (
    *(LIST, CREATE, READ, PUT, PATCH, DELETE, COMPLETE, BATCH, CHANGES, EVENTS),
    *(EXPORT, IMPORT, ERASE),
    *(MAKE_FEED, END_FEED, READ_FEED),
    *(LIST_TRASH, RESTORE, DISCARD, EMPTY_TRASH),
    *(LIVE, READY, METRICS, CONTRACT, FRONT, DOCS, DOCS_FILE),
)
"""Every operation; a test compares it with the routes."""

_TAGS: Final = [
    {"name": "tasks", "description": "One user's tasks."},
    {"name": "trash", "description": "Deleted tasks that can still be restored."},
    {"name": "sync", "description": "Keeping a copy up to date without reading everything again."},
    {"name": "data", "description": "All data of a user."},
    {"name": "operations", "description": "For operators and tools; no token needed."},
]

_ABOUT: Final = """The tasks of many users, each reachable with that user's token only.

**Users.** `user_id` in a path is the token's `sub`, percent-encoded; `me` stands for it. Another user's path is 403;
another user's task is 404, exactly like one that never existed.

**Every path** also has `HEAD` (`GET` without the body, where there is a `GET`; not `/events`) and `OPTIONS` (204 with
`Allow`, no token needed). Any other method is 405 with `Allow`, any other path 404: each path has one spelling.

**Revisions.** Each write that changes something advances the user's counter, and the task it changes gets the new value
as its `revision`. That number in quotes is the task's `ETag`: send it as `If-Match`, so that no change of another
client is lost. The `revision` that `/changes` returns is the next `since`.

**Errors** have one shape; `code` is for programs. A request with several errors gets the first of these: 431, 503
(overload), 404 or 405 of the route, 401, 429, 403, 400 for path and parameters and headers, 429 (waits, transfers),
415, 413, 400 for the body, 422, 404 of the task, 410 `gone`, 412, 409, 410 `resync`.

**Every response** has an `X-Request-ID`: the request's own if it is 1 to 128 of `A-Za-z0-9._-`. Pages of the configured
origins may read every response (CORS)."""


def document(
    *,
    body_limit: int = DEFAULT_LIMIT,
    batch_limit: int = DEFAULT_BATCH_LIMIT,
    import_limit: int = DEFAULT_IMPORT_LIMIT,
    quota: int = DEFAULT_QUOTA,
    erase: bool = True,
    feeds: bool = True,
) -> dict[str, Any]:
    """Return the document for a deployment with these limits, with or without the routes for erasing and feeds."""
    left_out = [*([] if erase else [ERASE]), *([] if feeds else [MAKE_FEED, END_FEED, READ_FEED])]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Todo",
            "version": version("todo"),
            "summary": "The backend that keeps people's tasks for any front end.",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": ".", "description": "The service that serves this document, under any path prefix."}],
        "tags": _TAGS,
        "security": [{"bearer": []}],
        "paths": _paths(each for each in OPERATIONS if each not in left_out),
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A JWT of the configured issuer; `sub` is the user. This service issues no tokens.",
                }
            },
            "schemas": schemas(),
            "parameters": SHARED_PARAMETERS,
            "headers": HEADERS,
            "responses": common_responses(
                body_limit=body_limit, batch_limit=batch_limit, import_limit=import_limit, quota=quota
            ),
        },
    }


@cache
def openapi_json(
    *,
    body_limit: int = DEFAULT_LIMIT,
    batch_limit: int = DEFAULT_BATCH_LIMIT,
    import_limit: int = DEFAULT_IMPORT_LIMIT,
    quota: int = DEFAULT_QUOTA,
    erase: bool = True,
    feeds: bool = True,
) -> bytes:
    """Return the document as JSON, which is made once for each set of limits."""
    return encode(
        document(
            body_limit=body_limit,
            batch_limit=batch_limit,
            import_limit=import_limit,
            quota=quota,
            erase=erase,
            feeds=feeds,
        )
    )


def _paths(operations: Iterable[Operation]) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = operation.described()
    return paths


__all__ = ["OPERATIONS", "document", "openapi_json"]
