"""`extra`, a JSON object of the client's own: its rules, its canonical form, and merge patches.

A task stores the object as canonical JSON: names in the order of their code points, no white space, each number as
Python writes it. So two objects are equal if their texts are equal; `1`, `1.0` and `true` differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, NamedTuple

from todo_domain.errors import Invalid
from todo_domain.text import refuse_control_characters

LARGEST_EXTRA: Final = 4_096
"""The most bytes of the canonical JSON in UTF-8."""

DEEPEST_EXTRA: Final = 5
"""The deepest nesting of objects and arrays, including the object itself."""

LARGEST_INTEGER: Final = 2**53
"""The largest absolute value of an integer, which every JSON client holds exactly."""

EMPTY: Final = "{}"
"""The canonical JSON of the object without members, which is the default."""

_FIELD: Final = "extra"


class ExtraPatch(NamedTuple):
    """A JSON merge patch (RFC 7396) of `extra`: null removes a member, an object is merged, any other value is set."""

    members: Mapping[str, Any]

    def applied_to(self, extra: str) -> str:
        """Return the canonical JSON of the merged object, or raise Invalid if it is too large."""
        return _canonical(_merged(json.loads(extra), self.members))


def checked_extra(value: object) -> str | ExtraPatch:
    """Return the canonical JSON of an object or of its JSON text; return a patch unchanged.

    Raises Invalid if a rule is broken. The size of a patch's result is not known yet. Its objects are in the result,
    too, so a patch that is too deep is refused here.
    """
    if isinstance(value, ExtraPatch):
        _check(value.members, DEEPEST_EXTRA)
        return value
    if type(value) is str:
        value = _parsed(value)
    if type(value) is not dict:
        raise Invalid(_FIELD, "must be a JSON object, or null")
    _check(value, DEEPEST_EXTRA)
    return _canonical(value)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid(_FIELD, "must be a JSON object, or null") from None


def _check(value: object, depth: int) -> None:
    """Raise Invalid unless `value` is JSON that follows the rules and is nested at most `depth` deep."""
    match value:
        case dict() | list() if depth == 0:
            raise Invalid(_FIELD, f"must be nested at most {DEEPEST_EXTRA} deep")
        case dict():
            for name, member in value.items():
                _check_text(name)
                _check(member, depth - 1)
        case list():
            for member in value:
                _check(member, depth - 1)
        case int() if abs(value) > LARGEST_INTEGER:
            raise Invalid(_FIELD, "must have no integer beyond 2^53: send it as a string")
        case float() if not isfinite(value):
            raise Invalid(_FIELD, "must have no number that a double cannot hold")
        case None | int() | float():  # a bool is an int
            pass
        case _:
            _check_text(value)


def _check_text(value: object) -> None:
    if type(value) is not str:
        raise Invalid(_FIELD, "must be JSON: only null, booleans, numbers, strings, lists and dictionaries by strings")
    refuse_control_characters(_FIELD, value)


def _canonical(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    if len(text.encode()) > LARGEST_EXTRA:
        raise Invalid(_FIELD, f"must be at most {LARGEST_EXTRA:,} bytes as JSON")
    return text


def _merged(target: object, patch: object) -> object:
    """Return the target with the patch applied: the procedure MergePatch of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
