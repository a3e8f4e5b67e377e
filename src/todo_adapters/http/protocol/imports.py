"""An import: its body, read strictly and in pieces, and its report as clients see it."""

from __future__ import annotations

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType

from todo_adapters.formats.outline import STRIDE, NotJson, elements, outline
from todo_adapters.http.protocol.body import decoder, shaped, shown, unknown_member
from todo_adapters.http.protocol.doubled import MARKING_DOUBLED, require_single_below
from todo_adapters.http.protocol.json_types import Ignored, about, number_meta
from todo_adapters.http.protocol.schemas import members
from todo_adapters.http.protocol.task_json import Settable, Title
from todo_domain import Invalid, TodoError, UserId, user_id
from todo_domain.importing import Entry, Outcome, entry_of
from todo_domain.owner import LONGEST_USER_ID

if TYPE_CHECKING:
    from todo_adapters.http.protocol.pace import Pace

MOST_TASKS: Final = 50_000
"""Tasks of one file, and tasks of its trash."""

LARGEST_ENTRY: Final = 131_072
"""Bytes of one task of a file: more than any task has, however it is written."""

MOST_NAMED: Final = 100
"""Skipped entries that the report names."""

_OTHER_VALUE: Final = re.compile(rb'[ \t\r\n]*+["\[\-0-9tfn]')
"""The begin of a JSON value other than an object."""

_ARRAYS: Final = frozenset({"tasks", "trash"})
_UNREADABLE: Final = "is nested too deeply or has a number that is too long"
EXPECTED_HEAD: Final = {
    "format": "must be todo/1",
    "user_id": "must be a string",
    "revision": "must be an integer, or null",
    "tasks": "must be an array of tasks",
    "trash": "must be an array of tasks",
}
"""The rule of each member of the head, in a sentence that begins with its name."""


class ImportFile(Struct, forbid_unknown_fields=True):
    """The JSON of an export, or the same head with some of its tasks."""

    format: Annotated[Literal["todo/1"], about("The form of this file.")]
    user_id: Annotated[
        str,
        Meta(
            description="The user of the export. The tasks become the caller's.",
            extra_json_schema={
                "minLength": 1,
                "maxLength": LONGEST_USER_ID,
                "pattern": r"^[^\x00-\x1F\x7F-\x9F]*$",
            },
        ),
    ]
    tasks: Annotated[
        list[Any],
        Meta(
            max_length=MOST_TASKS,
            description="Tasks as in an export. An entry that is not a task, or breaks a rule, is skipped.",
            extra_json_schema={"items": {}},  # some generators of clients require it
        ),
    ]
    revision: Annotated[int, number_meta("Not used.", least=0)] | UnsetType | None = UNSET
    exported_at: Ignored = UNSET
    trash: Annotated[list[Any], Meta(description="Not read.", extra_json_schema={"items": {}})] | UnsetType = UNSET


class ImportedTask(Settable):
    """A task of a file: the members that a client may set, and the others of an export."""

    title: Title
    id: Any = UNSET
    uid: Any = UNSET
    user_id: Any = UNSET
    completed_at: Any = UNSET
    revision: Any = UNSET
    created_at: Any = UNSET
    updated_at: Any = UNSET


class SkippedOut(Struct):
    """An entry of the file that was not imported."""

    index: Annotated[int, Meta(ge=0, description="Its index in `tasks`, from 0.")]
    field: Annotated[str, about("The member that breaks the rule; null if no single member does.")] | None
    reason: Annotated[str, about("The rule; a sentence whose subject is the field, or else the entry.")]


class ImportOut(Struct):
    """The result of an import."""

    created: Annotated[int, Meta(ge=0, description="Tasks that are new, or back from the trash.")]
    updated: Annotated[int, Meta(ge=0, description="Tasks that existed and were changed.")]
    unchanged: Annotated[int, Meta(ge=0, description="Tasks that existed and were equal.")]
    skipped: Annotated[
        list[SkippedOut],
        Meta(max_length=MOST_NAMED, description="The first entries that were not imported."),
    ]
    skipped_count: Annotated[int, Meta(ge=0, description="How many entries were not imported.")]

    def add(self, index: int, outcome: Outcome) -> None:
        """Count the outcome of the entry at this index. The caller adds the entries in order."""
        if not isinstance(outcome, str):
            self.skipped_count += 1
            if len(self.skipped) < MOST_NAMED:
                self.skipped.append(_skipped(index, outcome))
        elif outcome == "created":
            self.created += 1
        elif outcome == "updated":
            self.updated += 1
        else:
            self.unchanged += 1


class CheckedFile(NamedTuple):
    """The body of an import after its check: the user of the file, and where its tasks begin."""

    raw: bytes
    source: UserId
    begin: int

    def entries(self) -> Iterator[tuple[int, Entry | TodoError] | None]:
        """Yield each entry, or the error that skips it, with the position behind it; None where `elements` does."""
        for part in elements(self.raw, self.begin):
            yield None if part is None else (part[1], _entry(self.raw, *part))


class _WholeEntry(Invalid):
    """A rule about the entry as a whole."""

    def __init__(self, message: str) -> None:
        super().__init__("body", message)


class _Unreadable(Exception):
    """JSON that is nested too deeply, or has a number that is too long, for the decoder."""


async def checked_file(raw: bytes, pace: Pace) -> CheckedFile:
    """Return the body as a file whose tasks can be read one by one.

    Raises Invalid if it is not JSON in UTF-8 as a whole, if its head is not that of an export, or if it has too many
    tasks. `pace` counts the bytes.
    """
    await _check_utf_8(raw, pace)
    head: dict[str, Any] = {}
    counts = dict.fromkeys(_ARRAYS, 0)
    begin = done = 0
    try:
        for part in outline(raw, _ARRAYS):
            await pace.pause(done)
            if part is None:
                continue
            name, at, done, is_element = part
            if is_element:
                _check_entry(raw, at, done)
                counts[name] += 1
                if counts[name] > MOST_TASKS:
                    raise Invalid(name, f"must be at most {MOST_TASKS:,}")
            elif name not in ImportFile.__struct_fields__:
                raise unknown_member(name)  # at once, because a file may have a million of them
            elif name in head:
                raise Invalid(shown(name), "is given twice")
            elif done > at:
                head[name] = _head_value(raw, name, at, done)
            else:
                head[name] = []
                begin = at if name == "tasks" else begin
    except NotJson as error:
        if _OTHER_VALUE.match(raw):
            raise Invalid("body", "must be a JSON object") from None
        raise Invalid("body", f"must be JSON: look at byte {error.at + 1:,}") from None
    return CheckedFile(raw, user_id(shaped(head, ImportFile, EXPECTED_HEAD).user_id), begin)


async def _check_utf_8(raw: bytes, pace: Pace) -> None:
    utf_8 = getincrementaldecoder("utf-8")()
    try:
        for at in range(0, len(raw), STRIDE):
            utf_8.decode(raw[at : at + STRIDE], final=at + STRIDE >= len(raw))
            await pace.pause(0)
    except UnicodeDecodeError:
        raise Invalid("body", "must be UTF-8") from None


def _head_value(raw: bytes, name: str, begin: int, end: int) -> object:
    if end - begin > LARGEST_ENTRY:
        raise Invalid(shown(name), "is too long")
    try:
        return _decoded(raw, begin, end, _SYNTAX)
    except _Unreadable:
        raise Invalid(shown(name), _UNREADABLE) from None


def _check_entry(raw: bytes, begin: int, end: int) -> None:
    """Raise NotJson or Invalid unless the entry is JSON; one that is too long is not decoded."""
    if end - begin <= LARGEST_ENTRY:
        with suppress(_Unreadable):
            _decoded(raw, begin, end, _SYNTAX)


def _entry(raw: bytes, begin: int, end: int) -> Entry | Invalid:
    """Return the entry at this position, or the error that skips it."""
    if end - begin > LARGEST_ENTRY:
        return _WholeEntry(f"is longer than {LARGEST_ENTRY:,} bytes")
    try:
        given = _decoded(raw, begin, end, MARKING_DOUBLED)
    except _Unreadable:
        return _WholeEntry(_UNREADABLE)
    if not isinstance(given, dict):
        return _WholeEntry("must be a JSON object")
    try:
        require_single_below(given)
        task = shaped(given, ImportedTask)
        said = members(task)
        said.pop("revision", None)
        names = ("uid", "id", "created_at", "completed_at")
        known = {name: None if (value := getattr(task, name)) is UNSET else value for name in names}
        return entry_of(said, **known)
    except Invalid as error:
        return error.without_frames()


def _decoded(raw: bytes, begin: int, end: int, decoder: json.JSONDecoder) -> object:
    text = raw[begin:end].decode()
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(begin + len(text[: error.pos].encode())) from None
    except (RecursionError, ValueError):
        raise _Unreadable from None


def _skipped(index: int, error: TodoError) -> SkippedOut:
    match error:
        case _WholeEntry():
            return SkippedOut(index, None, error.message)
        case Invalid():
            return SkippedOut(index, error.field, error.message)
        case _:
            return SkippedOut(index, None, str(error))


_SYNTAX: Final = decoder()
