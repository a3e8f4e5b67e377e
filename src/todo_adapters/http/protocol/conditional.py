"""Validators, preconditions (RFC 9110, sections 8.8.3 and 13.1) and idempotency keys."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from todo_domain import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from todo_adapters.http.protocol.response import Header
    from todo_domain import Task, UserId

WIRE_FORMAT: Final = b"3"
"""Part of every list's validator; a release that changes the JSON of a task increases it."""

FEED_FORMAT: Final = b"feed1"
"""The same for a calendar feed."""

_ETAG = rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rb"[ \t]*(?:,[ \t]*)*" + _ETAG + rb"(?:[ \t]*,(?:[ \t]*" + _ETAG + rb")?)*[ \t]*")
_EACH = re.compile(_ETAG)
_COUNTER = re.compile(rb'(0|[1-9][0-9]{0,15})"')
_REVISION = re.compile(rb'"([1-9][0-9]{0,15})"')

_KEY: Final = re.compile(rb'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"|([\x21\x23-\x7e][\x21-\x7e]{0,254})')

ANYTHING: Final = b"*"


def field_value(headers: Iterable[Header], name: bytes) -> bytes | None:
    """Return the value of a header field, all its lines joined (RFC 9110, section 5.3); None without the field."""
    values = [value for given, value in headers if given == name]
    return b", ".join(values) if values else None


def etag_of(task: Task) -> bytes:
    """Return the strong validator of a task: its revision in quotes."""
    return b'"%d"' % task.revision


def list_etag(owner: UserId, revision: int, form: bytes = WIRE_FORMAT) -> bytes:
    """Return the weak validator of every list, or of the feed, of this owner at this counter."""
    return b'W/"%s.%d"' % (_list_prefix(owner, form), revision)


def if_match(value: bytes | None) -> frozenset[int] | None:
    """Return the revisions that an `If-Match` accepts, None if it accepts any.

    `W/"17"` counts as `"17"`. RFC 9110, section 13.1.1, requires strong comparison; but proxies make a tag weak when
    they compress a response (nginx does), and a revision names one state of the task in every encoding. Raises Invalid
    for a malformed value.
    """
    if value is None or value.strip() == ANYTHING:
        return None
    tags = (tag.removeprefix(b"W/") for tag in _tags("If-Match", value))
    return frozenset(int(match[1]) for tag in tags if (match := _REVISION.fullmatch(tag)))


def none_match(value: bytes | None) -> tuple[bytes, ...]:
    """Return the tags of an `If-None-Match` without `W/`, because the comparison is weak; `*` is returned as it is.

    Raises Invalid for a malformed value.
    """
    if value is None:
        return ()
    if value.strip() == ANYTHING:
        return (ANYTHING,)
    return tuple(tag.removeprefix(b"W/") for tag in _tags("If-None-Match", value))


def has_anything(value: bytes | None) -> bool:
    """Return whether an `If-None-Match` has `*`, also where it is malformed because it has something else as well.

    A write that must not overwrite anything is refused rather than done.
    """
    return value is not None and ANYTHING in _EACH.sub(b"", value)


def idempotency_key(value: bytes) -> str:
    """Return the key in an `Idempotency-Key`, quoted (an RFC 9651 String) or bare, or raise Invalid."""
    match = _KEY.fullmatch(value.strip(b" \t"))
    if match is None:
        raise Invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters, bare or as a quoted string")
    quoted, bare = match.groups()
    return str(bare.decode()) if quoted is None else re.sub(r"\\(.)", r"\1", quoted.decode())


def has_match(tags: tuple[bytes, ...], etag: bytes) -> bool:
    """Return whether one of the tags matches this validator."""
    return ANYTHING in tags or etag.removeprefix(b"W/") in tags


def known_counter(tags: tuple[bytes, ...], owner: UserId, form: bytes = WIRE_FORMAT) -> int | None:
    """Return the highest counter in these tags of the owner's list or feed, None if there is none."""
    if not tags:
        return None
    prefix = b'"%s.' % _list_prefix(owner, form)
    counters = (_COUNTER.fullmatch(tag, len(prefix)) for tag in tags if tag.startswith(prefix))
    return max((int(counter[1]) for counter in counters if counter), default=None)


@lru_cache(4096)
def _list_prefix(owner: UserId, form: bytes) -> bytes:
    return b"%s.%s" % (form, sha256(owner.encode()).hexdigest()[:8].encode())


def _tags(name: str, value: bytes) -> list[bytes]:
    if not _LIST.fullmatch(value):
        raise Invalid(name, 'must be a list of entity tags like "17", or *')
    return _EACH.findall(value)
