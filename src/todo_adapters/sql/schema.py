"""The revisions of the schema: their names and order, and the error of a migration that cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

REVISIONS: Final = ("0003", "0004")
"""The revisions that this release knows, oldest first; it needs the last one."""

UNRELEASED: Final = ("0001", "0002")
"""The revisions of unreleased versions, whose databases are refused."""

BASE: Final = "base"
HEAD: Final = "head"

VERSION_TABLE: Final = "todo_alembic_version"
"""Where our revision is kept: under a name of our own, because `alembic_version` may be another program's."""

SELECT_REVISION: Final = "SELECT version_num FROM todo_alembic_version"
TOUCH: Final = "DELETE FROM todo_alembic_version WHERE false"
"""Changes nothing, and is refused by a database that cannot be written."""

FORMER_VERSION_TABLE: Final = "alembic_version"
"""Its name in some unreleased versions; in most databases that have one, it is another program's."""

Needed = Callable[[str], bool]
"""Whether a migration has anything to do, given the revision that the database is at."""


class Moved(NamedTuple):
    """The revisions before and after a migration: equal if there was nothing to do, or another process did it."""

    before: str
    after: str


class SqlError(Exception):
    """What a command cannot do with its database; the text is one sentence without a password, and says what to do."""


class MigrationError(SqlError):
    """A migration that cannot be done."""


class UnreleasedError(MigrationError):
    """A database that an unreleased version made."""

    def __init__(self) -> None:
        super().__init__(
            "the database was made by an unreleased version, which this release cannot upgrade: use an empty one"
        )


class CannotRenewError(SqlError):
    """What is in the way of a renewal after a restore."""


NOTHING: Final = "nothing is migrated here, so there is nothing to renew"

IDS_SKIPPED: Final = 1_000_000_000
"""How many ids a renewal leaves out: more than anybody can have taken since the copy was made."""


class Renewed(NamedTuple):
    """How many users a renewal found, and how many of them had a counter that was already higher, and kept it."""

    users: int
    ahead: int


def head() -> str:
    """Return the revision that this release needs."""
    return REVISIONS[-1]


def is_known(revision: str) -> bool:
    """Return whether this release knows the revision."""
    return revision in (BASE, *REVISIONS)


def is_behind(revision: str | None) -> bool:
    """Return whether a database at this revision, None for none, lacks what this release needs."""
    return revision is None or revision in (BASE, *UNRELEASED, *REVISIONS[:-1])


def is_of(since: str | None, revision: str) -> bool:
    """Return whether what the revision `since` adds, None for the baseline, is part of the schema at `revision`.

    A revision that only a newer release knows has everything.
    """
    return since is None or revision not in (BASE, *REVISIONS) or since not in missing(revision, head())


def missing(found: str, target: str) -> list[str]:
    """Return the revisions after `found` up to `target`; none after one that only a newer release knows."""
    order = (BASE, *REVISIONS)
    return list(order[order.index(found) + 1 : order.index(target) + 1]) if found in order else []


def named(to: str) -> str:
    """Return the revision that `to` names, or raise MigrationError."""
    if to == HEAD:
        return head()
    if not is_known(to):
        raise MigrationError(f"there is no such revision: choose one of {', '.join((BASE, *REVISIONS, HEAD))}")
    return to
