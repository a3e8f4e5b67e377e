"""The types of the JSON members, each with its part of the OpenAPI schema."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Raw, UnsetType

from todo_domain.extra import DEEPEST_EXTRA, LARGEST_EXTRA
from todo_domain.naming import LONGEST_UID, SHORTEST_UID
from todo_domain.owner import LARGEST_ID
from todo_domain.task import LONGEST_DESCRIPTION, LONGEST_TAG, LONGEST_TITLE, MOST_TAGS

PriorityName = Literal["none", "low", "medium", "high"]
PRIORITY_NAMES: tuple[PriorityName, ...] = ("none", "low", "medium", "high")
"""Indexed by the number of the priority."""

TEXT = {"pattern": r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]*$"}
_LABEL = {"minLength": 1, **TEXT}
_TAGS = {"maxItems": MOST_TAGS, "uniqueItems": True}
_POSITION = {"pattern": "^[0-9A-Za-z]{1,64}$"}
_EXTRA = {"type": "object"}
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

Title = Annotated[
    str,
    Meta(
        description="The task in a few words. Trimmed; has at least one visible character.",
        extra_json_schema={"maxLength": LONGEST_TITLE, **_LABEL},
    ),
]
Description = Annotated[
    str,
    Meta(
        description="A longer text, kept as sent; null if there is none.",
        extra_json_schema={"maxLength": LONGEST_DESCRIPTION, **TEXT},
    ),
]
Completed = Annotated[bool, Meta(description="The twin of `status`: true if it is `complete`.")]
DueDate = Annotated[date, Meta(description="The day it is due, in no time zone; null if there is none.")]
Tag = Annotated[
    str,
    Meta(
        description="Trimmed; has at least one visible character.",
        extra_json_schema={"maxLength": LONGEST_TAG, **_LABEL},
    ),
]
Tags = Annotated[list[Tag], Meta(description="Distinct, ignoring case; their order is kept.", extra_json_schema=_TAGS)]
TaskPosition = Annotated[
    str,
    Meta(
        description="A position in the client's own order, compared by ASCII code; null if there is none.",
        extra_json_schema=_POSITION,
    ),
]
_OWN = (
    f"An object of the client's own: at most {LARGEST_EXTRA:,} bytes as JSON without white space, nested at most "
    f"{DEEPEST_EXTRA} deep, text without control characters, integers from -2^53 to 2^53."
)
Extra = Annotated[dict[str, Any], Meta(description=_OWN)]
ExtraOut = Annotated[Raw, Meta(description=_OWN, extra_json_schema=_EXTRA)]
ExtraMerge = Annotated[
    dict[str, Any],
    Meta(
        description="Merged into the current object: null removes a member. The limits of `extra` apply to the result."
    ),
]
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
    """Return the schema of a time in the form of `schemas.instant`."""
    return Meta(description=description, extra_json_schema=_INSTANT)


def number_meta(description: str, least: int = 1) -> Meta:
    """Return the schema of a 64-bit integer of at least `least`."""
    return Meta(ge=least, le=LARGEST_ID, description=description, extra_json_schema=_INT64)


def about(description: str) -> Meta:
    """Return a schema that is only a description."""
    return Meta(description=description)
