"""Types that several JSON objects share, each with its part of the OpenAPI schema."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, UnsetType

from todo_domain.naming import LONGEST_UID, SHORTEST_UID
from todo_domain.owner import LARGEST_ID

TEXT = {"pattern": r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]*$"}
UID_FORM: Final = {
    "minLength": SHORTEST_UID,
    "maxLength": LONGEST_UID,
    "pattern": "^[0-9]*[A-Za-z._~@-][0-9A-Za-z._~@-]*$",
}
KEY_FORM: Final = {
    "minLength": 1,
    "maxLength": LONGEST_UID,
    "pattern": f"^[1-9][0-9]{{0,14}}$|^(?=.{{{SHORTEST_UID}}})[0-9]*[A-Za-z._~@-][0-9A-Za-z._~@-]*$",
}
_INSTANT = {"format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"}
_INT64 = {"format": "int64"}
ID: Final = {
    "type": ["integer", "null"],
    **_INT64,
    "minimum": 1,
    "maximum": LARGEST_ID,
    "description": "Must be the task's own.",
}
PUT_BACK_UID: Final = {"type": ["string", "null"], "description": "Must be the task's own."}
OWNER: Final = {"type": ["string", "null"], "description": "Must be the task's own."}
_IGNORED = {"description": "Ignored."}
SEEN: Final = {
    "type": ["integer", "null"],
    **_INT64,
    "description": "The revision that the other members were made from. If it is not the task's, 412, unless nothing "
    "would change. Beside it, status and completed may contradict each other: the one that differs is the change.",
}

Uid = Annotated[
    str,
    Meta(
        description="The client's own name for the task, given when a PUT creates it; null if there is none.",
        extra_json_schema=UID_FORM,
    ),
]
Ignored = Annotated[Any, Meta(extra_json_schema=_IGNORED)]
OnlyNull = Annotated[None, Meta(description="Given by the service; null counts as absent.")] | UnsetType


def instant_meta(description: str) -> Meta:
    """Return the schema of a time in the form of `task_json.instant`."""
    return Meta(description=description, extra_json_schema=_INSTANT)


def number_meta(description: str, least: int = 1) -> Meta:
    """Return the schema of a 64-bit integer of at least `least`."""
    return Meta(ge=least, le=LARGEST_ID, description=description, extra_json_schema=_INT64)


def about(description: str) -> Meta:
    """Return a schema that is only a description."""
    return Meta(description=description)
