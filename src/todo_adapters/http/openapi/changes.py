"""The operation of `/changes`."""

from __future__ import annotations

from typing import Final

from todo_adapters.http.openapi import examples as ex
from todo_adapters.http.openapi.operation import Operation
from todo_adapters.http.openapi.parameters import CHANGES_PARAMETERS
from todo_adapters.http.openapi.responses import BELOW_API, common, invalid, response
from todo_adapters.http.openapi.schemas import reference
from todo_adapters.http.protocol.parameters import parse_changes_query

CHANGES: Final = Operation(
    "get",
    "/api/{user_id}/changes",
    "list_changes",
    "sync",
    "List the changes since a revision",
    {
        "200": response(
            "The changes; or, without `since`, the whole state.",
            reference("Changes"),
            headers={"Content-Encoding": ""},
            examples=ex.named(
                everything=ex.whole_state(),
                what_changed=ex.changes(),
                a_page_of_it=ex.changes(limit=1),
                nothing_new={"tasks": [], "deleted": [], "revision": ex.COUNTER, "has_more": False},
            ),
        )
    }
    | invalid(
        bad_since=lambda: parse_changes_query(b"since=-1"), wait_without_since=lambda: parse_changes_query(b"wait=9")
    )
    | common("Resync")
    | BELOW_API,
    "Apply the page, then request again with `since` set to its `revision` until `has_more` is false. With `wait`, the "
    "response comes as soon as there are changes after `since`, or without changes after that many seconds.",
    CHANGES_PARAMETERS,
)
