"""JSON from strangers: one meaning for every reader, or none (RFC 8259; I-JSON, RFC 7493)."""

from __future__ import annotations

from json import JSONDecoder
from typing import Final, Never

LARGEST_NUMBER: Final = 2**53
"""Up to here every reader holds the same integer (RFC 7493, section 2.2)."""

MOST_CONTAINERS: Final = 500
"""Arrays and objects in one document: far below where Python's parser runs out of stack."""


def strict_json(data: bytes) -> object:
    """Return the value that `data` stands for, or raise ValueError.

    UTF-8 without a byte order mark; no name twice in an object; finite numbers of at most LARGEST_NUMBER either way;
    no NaN or Infinity; at most MOST_CONTAINERS brackets and braces that open something, in strings too. The caller
    bounds the length.
    """
    text = data.decode("utf-8")
    if text.count("[") + text.count("{") > MOST_CONTAINERS:
        raise ValueError("too many arrays and objects")
    try:
        return _decoder.decode(text)
    except RecursionError:
        # The caller may stand deep in the stack already.
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _integer(digits: str) -> int:
    return int(_bounded(int(digits) if len(digits) <= len("-9007199254740992") else float("inf")))


def _fraction(digits: str) -> float:
    return _bounded(float(digits))


def _bounded(number: float) -> float:
    if abs(number) > LARGEST_NUMBER:
        raise ValueError("a number is too large")
    return number


def _constant(_name: str) -> Never:
    raise ValueError("not a JSON number")


_decoder = JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant, strict=True
)
