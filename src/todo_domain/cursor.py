"""A position in a list as an opaque string that only fits the list it was made for.

A cursor carries a digest of itself, the query and the user. It is no secret and grants nothing: whoever forges one
moves about in their own list. It tells a slip (another sort, another filter, another user, a cut string) from a page.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from todo_domain.errors import Invalid
from todo_domain.query import Position, Query, SortField, SortValue
from todo_domain.text import fold

if TYPE_CHECKING:
    from todo_domain.owner import UserId

_DIGEST_BYTES: Final = 12
_WRONG = Invalid("cursor", "does not belong to this list: start again without it")


def encode(owner: UserId, query: Query, position: Position) -> str:
    """Return the cursor for going on behind `position` in the owner's list of this query, whatever its limit."""
    value = position.value
    plain = value.isoformat() if isinstance(value, date) else value
    payload = json.dumps([plain, position.id], ensure_ascii=False, separators=(",", ":")).encode()
    return urlsafe_b64encode(_digest(owner, query, payload) + payload).decode().rstrip("=")


def decode(owner: UserId, query: Query, cursor: str) -> Position:
    """Return the position that `encode` was given, or raise Invalid: not made by it, or for another list or user."""
    try:
        blob = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        digest, payload = blob[:_DIGEST_BYTES], blob[_DIGEST_BYTES:]
        if digest != _digest(owner, query, payload):
            raise _WRONG
        value, task_id = json.loads(payload)
        position = Position(_parsed(value, query.sort.field), task_id)
    except ValueError as error:
        raise _WRONG from error
    if encode(owner, query, position) != cursor:
        raise _WRONG
    return position


def _parsed(value: str | int | None, field: SortField) -> SortValue:
    if not isinstance(value, str) or field == "title":
        return value
    return date.fromisoformat(value) if field == "due_date" else datetime.fromisoformat(value)


def _digest(owner: UserId, query: Query, payload: bytes) -> bytes:
    same_list = (
        owner,
        query.completed,
        None if query.text is None else fold(query.text),
        sorted(set(query.priorities)),
        sorted({fold(tag) for tag in query.tags}),
        str(query.due_after),
        str(query.due_before),
        query.has_due_date,
        query.sort,
    )
    return sha256(json.dumps(same_list).encode() + b"\0" + payload).digest()[:_DIGEST_BYTES]
