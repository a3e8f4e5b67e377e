"""The headers of the responses, each described once."""

from __future__ import annotations

from typing import Any, Final

from todo_adapters.http.endpoints.docs import POLICY
from todo_adapters.http.openapi.examples import (
    COUNTER,
    GROCERIES,
    OWNER,
    REQUEST_ID,
)
from todo_adapters.http.protocol.conditional import etag_of, list_etag
from todo_adapters.http.protocol.errors import PATCH_TYPES

_SECONDS: Final = {"type": "integer", "minimum": 0}


def _header(description: str, schema: dict[str, Any], example: object, *, required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": schema, "example": example}


HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-ID": _header(
        "The id of this request, also in the logs.",
        {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
        REQUEST_ID,
    ),
    "X-Content-Type-Options": _header("Always `nosniff`.", {"type": "string", "const": "nosniff"}, "nosniff"),
    "Cache-Control": _header(
        "`no-store` on every error, `no-store, no-transform` on a stream, `private, no-cache` on every other response "
        "below `/api`.",
        {
            "type": "string",
            "enum": ["private, no-cache", "no-cache", "no-store", "no-store, no-transform", "max-age=3600"],
        },
        "private, no-cache",
    ),
    "Vary": _header(
        "`Origin`, where origins are configured; `Accept-Encoding` on lists, changes, exports and this document.",
        {"type": "string"},
        "Accept-Encoding",
        required=False,
    ),
    "Content-Encoding": _header(
        "`gzip`, if `Accept-Encoding` prefers it and the body has 1,000 bytes or more.",
        {"type": "string", "const": "gzip"},
        "gzip",
        required=False,
    ),
    "Access-Control-Allow-Origin": _header(
        "The page's origin, if it is configured.",
        {"type": "string"},
        "https://todo.example",
        required=False,
    ),
    "Access-Control-Expose-Headers": _header(
        "The headers that such a page may read.", {"type": "string"}, "ETag, Link, Location", required=False
    ),
    "X-Accel-Buffering": _header(
        "`no`: a proxy passes each event on at once.", {"type": "string", "const": "no"}, "no"
    ),
    "ETag": _header(
        "The task's revision in quotes, for `If-Match`.",
        {"type": "string", "pattern": '^"[1-9][0-9]{0,15}"$'},
        etag_of(GROCERIES).decode(),
    ),
    "Current-ETag": _header(
        "The validator of `current`, if there is one.",
        {"type": "string", "pattern": '^"[1-9][0-9]{0,15}"$'},
        etag_of(GROCERIES).decode(),
        required=False,
    ),
    "List-ETag": _header(
        "Opaque and weak, for `If-None-Match`; changes with every write of the user.",
        {"type": "string", "pattern": '^W/"[^"]+"$'},
        list_etag(OWNER, COUNTER).decode(),
    ),
    "Location": _header(
        "The new task: a reference relative to the request's own URL (RFC 3986, section 5.2), so that it is right "
        "behind any proxy and under any path prefix. In a page: `new URL(reference, response.url)`.",
        {"type": "string", "format": "uri-reference"},
        f"tasks/{GROCERIES.id}",
    ),
    "Docs-Location": _header(
        "The page, relative to the request's own URL.", {"type": "string", "const": "docs"}, "docs"
    ),
    "Link": _header(
        'If there is another page: `<…>; rel="next"` (RFC 8288), relative to the request\'s own URL.',
        {"type": "string"},
        '<?limit=1&cursor=…>; rel="next"',
        required=False,
    ),
    "Idempotency-Replayed": _header(
        "`true` if this write was done before and nothing was done now.",
        {"type": "string", "const": "true"},
        "true",
        required=False,
    ),
    "WWW-Authenticate": _header(
        "The challenge of RFC 6750; with `error` and, as `error_description`, the code of the reason if a Bearer token "
        "was sent.",
        {"type": "string"},
        'Bearer realm="todo", error="invalid_token", error_description="signature"',
    ),
    "Accept-Patch": _header(
        "The media types of a PATCH (RFC 5789).", {"type": "string"}, b", ".join(PATCH_TYPES).decode()
    ),
    "Content-Disposition": _header(
        "A name for the file.",
        {"type": "string", "pattern": '^attachment; filename="[^"]+"$'},
        'attachment; filename="todo-2026-11-23.json"',
    ),
    "Content-Security-Policy": _header("The page may only send requests to this service.", {"type": "string"}, POLICY),
    "Referrer-Policy": _header("Always `no-referrer`.", {"type": "string"}, "no-referrer"),
    "Retry-After": _header("Seconds to wait before trying again.", _SECONDS, 1),
}
"""Every header of a response; one that is `required` comes with each response that lists it."""
