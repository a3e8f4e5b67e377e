"""JSON from outside: one meaning for every reader, or an error (RFC 8259; I-JSON, RFC 7493)."""

from __future__ import annotations

from json import JSONDecoder
from typing import Final, Never

MOST_CONTAINERS: Final = 500
"""Arrays and objects in one document: far below where Python's parser runs out of stack."""

_LONGEST_INTEGER: Final = len(str(-(2**53)))


def strict_json(data: bytes) -> object:
    """Return the value that `data` stands for, or raise ValueError.

    UTF-8 without a byte order mark; no name twice in an object; no NaN or Infinity; at most MOST_CONTAINERS brackets
    and braces that open something, in strings too. A number that no reader holds exactly (RFC 7493, section 2.2) is no
    error, because most members are nobody's business here: it becomes a float, possibly infinite, which the caller
    refuses where it needs the number. The caller bounds the length.
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


def _integer(digits: str) -> float:
    # Python takes quadratic time for a long integer, and refuses one of more than 4,300 digits.
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _constant(_name: str) -> Never:
    raise ValueError("not a JSON number")


_decoder = JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant, strict=True)
