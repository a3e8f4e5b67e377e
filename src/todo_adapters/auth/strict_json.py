"""Strict parsing of JSON from outside: only documents that every parser reads alike (RFC 8259; I-JSON, RFC 7493)."""

from __future__ import annotations

from json import JSONDecoder
from typing import Final, Never

MOST_CONTAINERS: Final = 500
"""The most arrays and objects in one document, far below the limit of Python's parser."""

_LONGEST_INTEGER: Final = len(str(-(2**53)))


def strict_json(data: bytes) -> object:
    """Return the value in `data`, or raise ValueError.

    The document must be UTF-8 without a byte order mark, without a name twice in an object, without NaN or Infinity,
    and with at most MOST_CONTAINERS opening brackets and braces, including those in strings. A number beyond the exact
    range (RFC 7493, section 2.2) is not an error, because most members are not used: it becomes a float, possibly
    infinite, which the caller refuses where it needs the number. The caller bounds the length.
    """
    text = data.decode("utf-8")
    if text.count("[") + text.count("{") > MOST_CONTAINERS:
        raise ValueError("too many arrays and objects")
    try:
        return _decoder.decode(text)
    except RecursionError:
        # The caller's stack may already be deep.
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _integer(digits: str) -> float:
    # Python takes quadratic time for a long integer, and refuses one of more than 4,300 digits.
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _constant(_name: str) -> Never:
    raise ValueError("not a JSON number")


_decoder = JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant, strict=True)
