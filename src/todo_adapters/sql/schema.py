"""The revisions of the schema: their names and order, and the error of a migration that cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

REVISIONS: Final = ("0001", "0002")
"""The revisions that this release knows, oldest first; it needs the last one."""

BASE: Final = "base"
HEAD: Final = "head"

Needed = Callable[[str], bool]
"""Whether a migration has anything to do, given the revision that the database is at."""


class MigrationError(Exception):
    """A migration that cannot be done; the text is one sentence without a password, and says what to do."""


def head() -> str:
    """Return the revision that this release needs."""
    return REVISIONS[-1]


def missing(found: str, target: str) -> list[str]:
    """Return the revisions after `found` up to `target`; none after one that only a newer release knows."""
    order = (BASE, *REVISIONS)
    return list(order[order.index(found) + 1 : order.index(target) + 1]) if found in order else []


def named(to: str) -> str:
    """Return the revision that `to` names, or raise MigrationError."""
    if to == HEAD:
        return head()
    if to not in (BASE, *REVISIONS):
        raise MigrationError(f"there is no such revision: choose one of {', '.join((BASE, *REVISIONS, HEAD))}")
    return to
