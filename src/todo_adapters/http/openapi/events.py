"""The operation of `/events`."""

from __future__ import annotations

from typing import Final

from todo_adapters.http.openapi.operation import Operation
from todo_adapters.http.openapi.parameters import EVENTS_PARAMETERS
from todo_adapters.http.openapi.responses import BELOW_API, invalid, response
from todo_adapters.http.protocol.parameters import parse_events_query

EVENTS: Final = Operation(
    "get",
    "/api/{user_id}/events",
    "stream_events",
    "sync",
    "Stream changes as they happen",
    {
        "200": response(
            "Server-sent events until the client or the service ends the stream.",
            {"description": "An event stream (HTML Living Standard, section 9.2)."},
            headers={"X-Accel-Buffering": ""},
            media_type="text/event-stream",
        )
    }
    | invalid(bad_since=lambda: parse_events_query(b"since=-1"))
    | BELOW_API,
    "`ready` comes first; its id is the position that the stream continues from, its data the counter now. "
    "`changes` has a page of `/changes` after that position, at most 100 items; its id is the page's `revision`. "
    "`resync` means that the position is unknown: drop the copy, request `/changes` without `since`, keep the stream. "
    "`ping` comes every 20 s and has the seconds until the token expires. `bye` comes before the service ends the "
    "stream: open a new stream with the last id and a fresh token. The position is `Last-Event-ID`, else "
    "`lastEventId`, else `since`, else the counter now.",
    EVENTS_PARAMETERS,
)
