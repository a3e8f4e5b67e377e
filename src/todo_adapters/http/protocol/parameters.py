"""Parses paths and query strings: each value has one spelling, and an unknown parameter is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

from todo_adapters.http.protocol.body import shown
from todo_adapters.http.protocol.task_json import PRIORITY_NAMES
from todo_domain import Invalid, Priority, Query, Sort, UserId
from todo_domain.changes import LARGEST_PAGE
from todo_domain.cursor import decode
from todo_domain.naming import Key, checked_uid
from todo_domain.owner import LARGEST_ID
from todo_domain.query import SORT_FIELDS
from todo_domain.task import LONGEST_TAG, MOST_TAGS
from todo_domain.text import label, refuse_control_characters

T = TypeVar("T")

LONGEST_SEARCH: Final = 255

LIST_PARAMETERS: Final = frozenset(
    {"status", "completed", "q", "priority", "tag", "due_before", "due_after", "due", "sort", "limit", "cursor"}
)
TRASH_PARAMETERS: Final = frozenset({"limit", "cursor"})
CHANGES_PARAMETERS: Final = frozenset({"since", "limit", "wait"})
EVENTS_PARAMETERS: Final = frozenset({"since", "lastEventId"})
EXPORT_PARAMETERS: Final = frozenset({"format"})
ERASE_PARAMETERS: Final = frozenset({"confirm"})
_NUMBERS: Final = frozenset({"limit", "since", "wait"})
_REPEATABLE: Final = frozenset({"tag", "priority"})
_EMPTY_IS_ABSENT: Final = frozenset({"q"})  # a cleared search box sends it

FORMATS: Final = {name: name for name in ("json", "csv", "ics")}
"""The formats of an export."""

LONGEST_WAIT: Final = 30
"""Seconds for which a request for changes may wait."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_ID = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_PRIORITIES: Final[dict[str, Priority]] = {name: Priority(number) for number, name in enumerate(PRIORITY_NAMES)}
SORTS: Final = {prefix + field: Sort(field, descending=prefix == "-") for field in SORT_FIELDS for prefix in ("", "-")}


def path_user(segment: str) -> str | None:
    """Return the user id in a raw path segment, or None if the segment is not percent-encoded UTF-8 (RFC 3986, 2.1)."""
    if "%" not in segment:
        return segment if segment.isascii() else None
    try:
        return None if _ESCAPE.search(segment) else unquote_to_bytes(segment.encode("ascii")).decode()
    except UnicodeError:
        return None


def decimal(field: str, text: str, least: int, most: int) -> int:
    """Return the number in `text`, which must be in plain decimal and within the bounds. Raises Invalid."""
    if not _DECIMAL.fullmatch(text) or not least <= int(text) <= most:
        raise Invalid(field, f"must be a plain decimal from {least} to {most}")
    return int(text)


def task_key(segment: str) -> Key:
    """Return the id or the uid in a raw path segment, or raise Invalid.

    A segment of digits only is an id, which has one spelling; a uid may be percent-encoded.
    """
    if _ID.fullmatch(segment) and (number := int(segment)) <= LARGEST_ID:
        return number
    return checked_uid("id", path_user(segment))


def key_of(field: str, given: int | str) -> Key:
    """Return the key in a JSON member: a number is an id, a string is an id in digits or a uid. Raises Invalid."""
    if isinstance(given, int):
        return given
    if _ID.fullmatch(given) and (number := int(given)) <= LARGEST_ID:
        return number
    return checked_uid(field, given)


class Parameters:
    """The parameters of one request's query string, each read at most once.

    Raises Invalid, which names the parameter, for one that is not `known`, is empty, or is given twice without being
    in `repeatable`. An empty one in `optional` counts as not given.
    """

    def __init__(
        self,
        query_string: bytes,
        known: frozenset[str],
        repeatable: frozenset[str] = frozenset(),
        optional: frozenset[str] = frozenset(),
    ) -> None:
        self._given: dict[str, list[str]] = {}
        if query_string:
            self._parse(query_string, known, repeatable)
        for name in optional:
            if self._given.get(name) == [""]:
                del self._given[name]
        for name, values in self._given.items():
            if "" in values:
                raise Invalid(name, "is empty: give it a value or leave it out")

    def _parse(self, query_string: bytes, known: frozenset[str], repeatable: frozenset[str]) -> None:
        # In Latin-1 each byte is one character. Below, the bytes are decoded as UTF-8: an error there has a name.
        text = query_string.decode("latin-1")
        pairs = parse_qsl(text, keep_blank_values=True, encoding="latin-1")
        for (name, value), spelt in zip(pairs, filter(None, text.split("&")), strict=True):
            if name not in known:
                raise Invalid(
                    shown(name.encode("latin-1").decode(errors="replace")), "is not a parameter here" + _list_of(known)
                )
            if name in self._given and name not in repeatable:
                raise Invalid(name, "is given twice")
            try:
                # A number has one spelling, as in a path.
                given = spelt.partition("=")[2] if name in _NUMBERS else value.encode("latin-1").decode()
                self._given.setdefault(name, []).append(given)
            except UnicodeDecodeError:
                raise Invalid(name, "must be percent-encoded UTF-8") from None

    def all(self, name: str) -> list[str]:
        """Return every value of a repeatable parameter."""
        return self._given.get(name, [])

    def one(self, name: str, read: Callable[[str, str], T]) -> T | None:
        """Return `read(name, text)` for the parameter, None if it is not given."""
        given = self._given.get(name)
        return None if given is None else read(name, given[0])

    def without(self, name: str) -> list[tuple[str, str]]:
        """Return all pairs except those of one parameter."""
        return [(given, value) for given, values in self._given.items() if given != name for value in values]


_WITHOUT_LIMIT: Final = Invalid("cursor", "needs a limit")


class ListRequest(NamedTuple):
    """The parsed query string of a list: the query, the cursor, and the parameters that links to other pages keep."""

    query: Query
    cursor: str | None
    kept: str


@lru_cache(256)  # clients request the same few lists over and over
def parse_list_query(query_string: bytes) -> ListRequest:
    """Parse the query string of a list. Raises Invalid."""
    given = Parameters(query_string, LIST_PARAMETERS, repeatable=_REPEATABLE, optional=_EMPTY_IS_ABSENT)
    tags = given.all("tag")
    if len(tags) > MOST_TAGS:
        raise Invalid("tag", f"must be given at most {MOST_TAGS} times")
    query = Query(
        completed=_completed(given),
        text=given.one("q", _search),
        priorities=_priorities(given),
        tags=tuple(label("tag", tag, LONGEST_TAG) for tag in tags),
        due_after=given.one("due_after", _day),
        due_before=given.one("due_before", _day),
        has_due_date=given.one("due", lambda name, text: _choice(name, text, {"none": False, "any": True})),
        sort=given.one("sort", lambda name, text: _choice(name, text, SORTS)) or Sort(),
        limit=given.one("limit", _limit),
    )
    return ListRequest(
        query, given.one("cursor", lambda _, text: text), urlencode(given.without("cursor"), quote_via=quote)
    )


def query_of(asked: ListRequest, owner: UserId) -> Query:
    """Return the query for this owner. Raises Invalid for a cursor of another user or list."""
    if asked.cursor is None:
        return asked.query
    if asked.query.limit is None:
        raise _WITHOUT_LIMIT
    return asked.query._replace(after=decode(owner, asked.query, asked.cursor))


class TrashRequest(NamedTuple):
    """The parsed query string of the trash: the page, and the parameters that links to other pages keep."""

    limit: int | None
    cursor: str | None
    kept: str


def parse_trash_query(query_string: bytes) -> TrashRequest:
    """Parse the query string of the trash. Raises Invalid."""
    given = Parameters(query_string, TRASH_PARAMETERS)
    limit, cursor = given.one("limit", _limit), given.one("cursor", lambda _, text: text)
    if cursor is not None and limit is None:
        raise _WITHOUT_LIMIT
    return TrashRequest(limit, cursor, urlencode(given.without("cursor"), quote_via=quote))


def next_link(asked: ListRequest | TrashRequest, cursor: str) -> bytes:
    """Return the value of `Link` for the next page (RFC 8288), relative to the request's URL (RFC 3986, 5.2).

    The link is a query alone, so it leads to the path that the client used, with any prefix that a proxy removed.
    """
    return f'<?{asked.kept}&cursor={cursor}>; rel="next"'.encode()


class ChangesRequest(NamedTuple):
    """The parsed query string of a request for changes; `wait` is in seconds, None to answer at once."""

    since: int
    limit: int
    wait: int | None


def parse_changes_query(query_string: bytes) -> ChangesRequest:
    """Parse the query string of a request for changes. Raises Invalid."""
    given = Parameters(query_string, CHANGES_PARAMETERS)
    since = given.one("since", _revision)
    wait = given.one("wait", lambda name, text: decimal(name, text, 1, LONGEST_WAIT))
    if wait is not None and since is None:
        raise Invalid("wait", "needs since: without it the response is the whole state, at once")
    return ChangesRequest(since or 0, given.one("limit", _limit) or LARGEST_PAGE, wait)


def parse_events_query(query_string: bytes) -> tuple[str | None, int | None]:
    """Return `lastEventId` as sent, and `since`; None for one that is absent or empty."""
    given = Parameters(query_string, EVENTS_PARAMETERS, optional=EVENTS_PARAMETERS)
    return given.one("lastEventId", lambda _, text: text), given.one("since", _revision)


def parse_export_query(query_string: bytes) -> str:
    """Parse the query string of an export, and return its format. Raises Invalid."""
    given = Parameters(query_string, EXPORT_PARAMETERS)
    return given.one("format", lambda name, text: _choice(name, text, FORMATS)) or "json"


def require_confirmed(query_string: bytes, owner: UserId) -> None:
    """Raise Invalid unless `confirm` is the user id. `me` does not count, except for a user with that id."""
    if Parameters(query_string, ERASE_PARAMETERS).one("confirm", lambda _, text: text) != owner:
        raise Invalid("confirm", "must be your user id, to confirm that all your data is erased")


def _completed(given: Parameters) -> bool | None:
    status = given.one("status", lambda name, text: _choice(name, text, {"incomplete": False, "complete": True}))
    completed = given.one("completed", lambda name, text: _choice(name, text, {"true": True, "false": False}))
    if status is not None and completed is not None and status != completed:
        raise Invalid("completed", "contradicts status: send one of them")
    return completed if status is None else status


def _search(name: str, text: str) -> str:
    refuse_control_characters(name, text)
    if len(text) > LONGEST_SEARCH:
        raise Invalid(name, f"must be at most {LONGEST_SEARCH} characters")
    return text


def _priorities(given: Parameters) -> tuple[Priority, ...]:
    texts = chain.from_iterable(text.split(",") for text in given.all("priority"))
    return tuple(sorted({_choice("priority", text, _PRIORITIES) for text in texts}))


def _day(name: str, text: str) -> date:
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Invalid(name, "must be a date like 2026-11-22")


def _revision(name: str, text: str) -> int:
    return decimal(name, text, 0, LARGEST_ID)


def _limit(name: str, text: str) -> int:
    return decimal(name, text, 1, LARGEST_PAGE)


def _choice(name: str, text: str, choices: dict[str, T]) -> T:
    if text not in choices:
        *others, last = choices
        raise Invalid(name, f"must be {', '.join(others)} or {last}")
    return choices[text]


def _list_of(names: Iterable[str]) -> str:
    names = sorted(names)
    return f": only {', '.join(names)}" if names else ": it takes none"
