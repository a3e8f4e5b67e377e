"""Splits a JSON text into members and elements, without decoding the whole text (RFC 8259).

Each generator yields at least once for every STRIDE bytes and for every BRACKETS brackets, None if it has found nothing
yet, so that the caller can let other work run in between. Of each value, only strings and brackets are examined:
whether a value is JSON is known when the caller decodes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Generator
from typing import Final, NamedTuple

STRIDE: Final = 4_096
"""Bytes that are examined between two yields, if there are few brackets: far less than a millisecond of work."""

BRACKETS: Final = 256
"""Brackets that are examined between two yields. Each takes about a microsecond."""

_LONGEST_NAME: Final = 1_024
_GAP: Final = re.compile(rb"[ \t\r\n]*+")
_SCALAR: Final = re.compile(rb'[^\x00-\x20"\[\]{},:]*+')

# Only single characters are repeated possessively: before 3.11.5, Python leaves out alternatives of a group that is.
_IN_STRING: Final = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*', re.DOTALL)
_IN_BRACKETS: Final = re.compile(rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*"[^"\[\]{}]*+)*', re.DOTALL)
_OPENING: Final = frozenset({b"[", b"{"})
_CLOSING: Final = frozenset({b"]", b"}"})


class NotJson(Exception):
    """The text is not a JSON object; `at` is the byte that cannot be there, from 0."""

    def __init__(self, at: int) -> None:
        super().__init__(f"not JSON at byte {at}")
        self.at = at


class Part(NamedTuple):
    """The name of a member of the object and the position of its value, or of an element of that value.

    An array that is split comes first as a member with the end `begin`; its elements follow.
    """

    name: str
    begin: int
    end: int
    is_element: bool = False


Reading = Generator[None, None, int]
"""Examines a part of the text; returns the position after it."""


def outline(text: bytes, arrays: Collection[str]) -> Generator[Part | None, None, None]:
    """Yield the members of the JSON object in the text; the arrays of these names are split. Raises NotJson."""
    at = yield from _gap(text, 0)
    at = yield from _gap(text, _behind(text, at, b"{"))
    if text[at : at + 1] == b"}":
        at += 1
    else:
        while True:
            end = yield from _string(text, at)
            name = _name(text, at, end)
            at = yield from _gap(text, end)
            at = yield from _gap(text, _behind(text, at, b":"))
            if name in arrays and text[at : at + 1] == b"[":
                yield Part(name, at, at)
                end = yield from _parts(text, at, name)
            else:
                end = yield from _value(text, at)
                yield Part(name, at, end)
            at = yield from _gap(text, end)
            if text[at : at + 1] == b"}":
                at += 1
                break
            at = yield from _gap(text, _behind(text, at, b","))
    at = yield from _gap(text, at)
    if at < len(text):
        raise NotJson(at)


def elements(text: bytes, at: int) -> Generator[tuple[int, int] | None, None, int]:
    """Yield the position of each element of the array that begins at `at`. Raises NotJson."""
    at = yield from _gap(text, _behind(text, at, b"["))
    if text[at : at + 1] == b"]":
        return at + 1
    while True:
        end = yield from _value(text, at)
        yield at, end
        at = yield from _gap(text, end)
        if text[at : at + 1] == b"]":
            return at + 1
        at = yield from _gap(text, _behind(text, at, b","))


def _parts(text: bytes, at: int, name: str) -> Generator[Part | None, None, int]:
    reading = elements(text, at)
    while True:
        try:
            found = next(reading)
        except StopIteration as done:
            end: int = done.value
            return end
        yield None if found is None else Part(name, *found, is_element=True)


def _name(text: bytes, begin: int, end: int) -> str:
    """Return the name of a member; of one longer than _LONGEST_NAME, which no member has, only the beginning."""
    if end - begin > _LONGEST_NAME:
        return text[begin + 1 : begin + 100].decode(errors="replace")
    try:
        name: str = json.loads(text[begin:end])
    except ValueError:
        raise NotJson(begin) from None
    return name


def _behind(text: bytes, at: int, character: bytes) -> int:
    if text[at : at + 1] != character:
        raise NotJson(at)
    return at + 1


def _gap(text: bytes, at: int) -> Reading:
    while (end := _end(_GAP, text, at)) == at + STRIDE:
        yield None
        at = end
    return end


def _value(text: bytes, at: int) -> Reading:
    first = text[at : at + 1]
    if first == b'"':
        return (yield from _string(text, at))
    if first in _OPENING:
        return (yield from _brackets(text, at))
    begin = at
    while (end := _end(_SCALAR, text, at)) == at + STRIDE:
        yield None
        at = end
    if end == begin:
        raise NotJson(at)
    return end


def _string(text: bytes, at: int) -> Reading:
    at = _behind(text, at, b'"')
    while text[(end := _end(_IN_STRING, text, at)) : end + 1] != b'"':
        if end == at:
            raise NotJson(at)
        yield None
        at = end
    return end + 1


def _brackets(text: bytes, at: int) -> Reading:
    depth, steps, mark = 0, 0, at + STRIDE
    while True:
        steps += 1
        end = _end(_IN_BRACKETS, text, at)
        character = text[end : end + 1]
        if character in _OPENING:
            depth += 1
            at = end + 1
        elif character in _CLOSING:
            depth -= 1
            at = end + 1
            if depth == 0:
                return at
        elif character == b'"':  # a string that is longer than a stride
            at = yield from _string(text, end)
        elif end == at:
            raise NotJson(at)
        else:
            at = end
        if at >= mark or steps == BRACKETS:
            yield None
            steps, mark = 0, at + STRIDE


def _end(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    """Return the end of the match of the pattern within the next stride; the match may be empty."""
    match = pattern.match(text, at, at + STRIDE)
    return at if match is None else match.end()
