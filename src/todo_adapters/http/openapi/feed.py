"""The operations on the calendar feed."""

from __future__ import annotations

from typing import Final

from todo_adapters.http.endpoints.feed import feed_url
from todo_adapters.http.openapi import examples as ex
from todo_adapters.http.openapi.operation import Operation, body, unchanged
from todo_adapters.http.openapi.parameters import shared
from todo_adapters.http.openapi.responses import BELOW_API, EVERY_ROUTE, common, invalid, response
from todo_adapters.http.openapi.schemas import reference
from todo_adapters.http.protocol.body import parse
from todo_adapters.http.protocol.conditional import none_match
from todo_adapters.http.protocol.errors import JSON_TYPES
from todo_adapters.http.protocol.parameters import Parameters
from todo_adapters.http.protocol.trash_schemas import Nothing
from todo_domain.feed import FeedToken

_TOKEN: Final = FeedToken(ex.OWNER, bytes(range(20)))
_FEED: Final = "/api/{user_id}/feed"

MAKE_FEED: Final = Operation(
    "post",
    _FEED,
    "make_feed",
    "data",
    "Make a calendar feed",
    {
        "201": response(
            "The URL of the feed, which is shown only here.",
            reference("Feed"),
            examples=ex.named(made={"url": feed_url(_TOKEN)}),
        )
    }
    | invalid(unknown_member=lambda: parse(b'{"title": "x"}', Nothing))
    | common("BodyTooLarge", "NotJson")
    | BELOW_API,
    "Calendars subscribe to the URL. It is a secret: it shows the open tasks with a due date, and the user id, to "
    "everybody who has it. A user has one feed; a new one ends the one before.",
    body=body("Nothing", JSON_TYPES, optional=True, made={}),
)

END_FEED: Final = Operation(
    "delete",
    _FEED,
    "end_feed",
    "data",
    "End the calendar feed",
    {"204": response("There is no feed.")}
    | invalid(unknown_parameter=lambda: Parameters(b"confirm=true", frozenset()))
    | BELOW_API,
)

READ_FEED: Final = Operation(
    "get",
    "/feeds/{token}.ics",
    "read_feed",
    "data",
    "Read a calendar feed",
    {
        "200": response(
            "A calendar (RFC 5545): each open task with a due date is an event of that whole day.",
            {"type": "string"},
            media_type="text/calendar",
            headers={"ETag": "List-ETag"},
        )
    }
    | unchanged("List-ETag")
    | invalid(bad_condition=lambda: none_match(b"17"))
    | common("NoSuchFeed", "RateLimited", "Unavailable")
    | EVERY_ROUTE,
    "The token in the path is the only credential.",
    parameters=[
        {
            "name": "token",
            "in": "path",
            "required": True,
            "description": "The secret in the URL that `POST /api/{user_id}/feed` returned.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
            "example": _TOKEN.text,
        },
        shared("IfNoneMatch"),
    ],
)
