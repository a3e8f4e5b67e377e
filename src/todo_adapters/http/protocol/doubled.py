"""JSON objects in which a name is given twice, where this refuses a part of the body and not the whole."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from todo_adapters.http.protocol.body import decoder, shown
from todo_domain import Invalid


class Doubled(dict[str, Any]):
    """A JSON object in which the name `twice` is given twice."""

    twice: str


def _doubled(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object, marked if a name is given twice, so that only the part of the body around it is refused."""
    found = dict(pairs)
    if len(found) < len(pairs):
        found = Doubled(found)
        found.twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
    return found


MARKING_DOUBLED: Final = decoder(_doubled)
"""Decodes a JSON text in which an object with a name twice is a Doubled."""


def require_single(document: object) -> None:
    """Raise Invalid if the document is an object in which a name is given twice."""
    if isinstance(document, Doubled):
        raise Invalid(shown(document.twice), "is given twice")


def require_single_below(document: object) -> None:
    """Raise Invalid if a name is given twice in an object at any depth of the document."""
    below = [document]
    while below:
        require_single(each := below.pop())
        if isinstance(each, dict):
            below += each.values()
        elif isinstance(each, list):
            below += each
