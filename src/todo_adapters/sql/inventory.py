"""Which of our tables a database has, and whether they are ours: pure comparisons, for both engines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import sqlalchemy as sa

from todo_adapters.sql.schema import (
    BASE,
    FORMER_VERSION_TABLE,
    REVISIONS,
    UNRELEASED,
    VERSION_TABLE,
    MigrationError,
    UnreleasedError,
    head,
    is_of,
)
from todo_adapters.sql.tables import SINCE_REVISION, metadata

TABLES: Final = tuple(metadata.tables)

LOOKED_FOR: Final = (*TABLES, VERSION_TABLE, FORMER_VERSION_TABLE)
"""The tables that tell where a database stands."""

Columns = Mapping[str, Collection[str]]
"""The columns of each table that was found, by the table's name."""


def lacking(found: Columns, revision: str) -> list[str]:
    """Return what a database at `revision` lacks: tables, and at this release's revision also columns.

    A revision of a newer release may have other columns, and the one before has fewer: only the keys are expected then.
    """
    if revision == BASE:
        return []
    missing = []
    for name, table in _tables_of(revision).items():
        if name not in found:
            missing.append(name)
            continue
        expected = table.columns if revision == head() else table.primary_key.columns
        missing += [f"{name}.{column.name}" for column in expected if column.name not in found[name]]
    return missing


def require_whole(found: Columns, revision: str) -> None:
    """Raise MigrationError, naming what is missing, unless the tables are those of `revision`.

    Raises UnreleasedError for a revision of an unreleased version.
    """
    if revision in UNRELEASED:
        raise UnreleasedError
    if missing := lacking(found, revision):
        raise MigrationError(
            f"the database says that it is at {revision}, but it lacks {', '.join(missing)}: restore it from a backup"
        )


def require_released(found: Columns) -> None:
    """Raise UnreleasedError if the tables are ours, beside a version table of the name that it had in the past.

    Ours have their keys and their revisions, as the tables of no other program do.
    """
    ours = all(
        {"revision", *table.primary_key.columns.keys()} <= set(found.get(name, ()))
        for name, table in _tables_of(REVISIONS[0]).items()
    )
    if ours and FORMER_VERSION_TABLE in found:
        raise UnreleasedError


def reserved_names(found: str = BASE) -> list[str]:
    """Return every name that the schema takes beyond those of the revision `found`: its tables and their indexes."""
    there = _tables_of(found) if found != BASE else {}
    new = [table for name, table in metadata.tables.items() if name not in there]
    indexes = [str(index.name) for table in new for index in table.indexes]
    return sorted([*(table.name for table in new), *(f"{table.name}_pkey" for table in new), *indexes])


def _tables_of(revision: str) -> dict[str, sa.Table]:
    return {name: table for name, table in metadata.tables.items() if is_of(table.info.get(SINCE_REVISION), revision)}
