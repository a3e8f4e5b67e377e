"""The revisions of the schema, their order, and the errors of migrations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

REVISIONS: Final = ("0003", "0004", "0005")
"""The revisions that this release knows, oldest first; this release needs the last one."""

UNRELEASED: Final = ("0001", "0002")
"""The revisions of unreleased versions, whose databases are refused."""

BASE: Final = "base"
HEAD: Final = "head"

VERSION_TABLE: Final = "todo_alembic_version"
"""The table with the revision. Its name is special, because `alembic_version` may belong to another program."""

SELECT_REVISION: Final = "SELECT version_num FROM todo_alembic_version"
TOUCH: Final = "DELETE FROM todo_alembic_version WHERE false"
"""Changes nothing, but fails on a read-only database."""

FORMER_VERSION_TABLE: Final = "alembic_version"
"""The name of the version table in some unreleased versions; usually it belongs to another program."""

Needed = Callable[[str], bool]
"""Returns whether a migration from this revision has anything to do."""


class Moved(NamedTuple):
    """The revisions before and after a migration; equal if there was nothing to do or another process did it."""

    before: str
    after: str


class SqlError(Exception):
    """A command failed because of its database; `str()` is one sentence with a remedy and without a password."""


class MigrationError(SqlError):
    """The migration cannot be done."""


class UnreleasedError(MigrationError):
    """The database was made by an unreleased version."""

    def __init__(self) -> None:
        super().__init__(
            "the database was made by an unreleased version, which this release cannot upgrade: use an empty one"
        )


class CannotRenewError(SqlError):
    """The renewal after a restore cannot be done."""


NOT_MIGRATED: Final = "the database is not migrated, so there is nothing to renew: restore the backup first"

IDS_SKIPPED: Final = 1_000_000_000
"""The number of ids that a renewal skips: more than can have been assigned since the backup."""


class Renewed(NamedTuple):
    """The number of users of a renewal, and the number of those whose counter was already higher and stays."""

    users: int
    ahead: int


class Purged(NamedTuple):
    """The number of users of a purge of all users, and the numbers of the rows that it removed."""

    users: int
    trash: int
    keys: int
    tombstones: int


def locked(table: str) -> str:
    """Return the sentence for a command that did not get a lock on this table in time."""
    return f"another session has locked {table}: end that session, or try again when it is done"


BEHIND: Final = "the schema is behind this release: run todo migrate"


def head() -> str:
    """Return the revision that this release needs."""
    return REVISIONS[-1]


def is_known(revision: str) -> bool:
    """Return whether this release knows the revision."""
    return revision in (BASE, *REVISIONS)


def place(revision: str) -> str:
    """Return what the commands print for a database at this revision, which is not behind."""
    return f"at {revision}" if is_known(revision) else f"at {revision}, from a newer release"


def is_behind(revision: str | None) -> bool:
    """Return whether a database at this revision (None: no revision) is behind this release."""
    return revision is None or revision in (BASE, *UNRELEASED, *REVISIONS[:-1])


def is_of(since: str | None, revision: str) -> bool:
    """Return whether a table added by the revision `since` (None: the baseline) exists at `revision`.

    A revision that only a newer release knows has every table.
    """
    return since is None or revision not in (BASE, *REVISIONS) or since not in missing(revision, head())


def missing(found: str, target: str) -> list[str]:
    """Return the revisions after `found` up to `target`; none if only a newer release knows `found`."""
    order = (BASE, *REVISIONS)
    return list(order[order.index(found) + 1 : order.index(target) + 1]) if found in order else []


def revision_named(to: str) -> str:
    """Return the revision that `to` names, or raise MigrationError."""
    if to == HEAD:
        return head()
    if not is_known(to):
        raise MigrationError(f"there is no such revision: choose one of {', '.join((BASE, *REVISIONS, HEAD))}")
    return to
