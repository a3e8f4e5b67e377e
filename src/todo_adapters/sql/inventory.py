"""Compares the tables of a database with this release's schema, for both engines."""

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

TABLE_NAMES: Final = tuple(metadata.tables)

LOOKED_FOR: Final = (*TABLE_NAMES, VERSION_TABLE, FORMER_VERSION_TABLE)
"""The tables that show the revision of a database."""

FoundColumns = Mapping[str, Collection[str]]
"""The found columns of each table, by the table's name."""


def lacking(found: FoundColumns, revision: str) -> list[str]:
    """Return the tables that a database at `revision` lacks, and at this release's revision also the columns.

    Newer revisions may have other columns and older ones have fewer, so for these only the keys are expected.
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


def require_whole(found: FoundColumns, revision: str) -> None:
    """Raise MigrationError, which names the missing parts, unless the tables are those of `revision`.

    Raises UnreleasedError for a revision of an unreleased version.
    """
    if revision in UNRELEASED:
        raise UnreleasedError
    if missing := lacking(found, revision):
        raise MigrationError(
            f"the database is marked as at {revision}, but it lacks {', '.join(missing)}: restore it from a backup"
        )


def require_released(found: FoundColumns) -> None:
    """Raise UnreleasedError if the tables are those of this project beside a version table of the former name.

    This project's tables are recognised by their keys and their `revision`.
    """
    ours = all(
        {"revision", *table.primary_key.columns.keys()} <= set(found.get(name, ()))
        for name, table in _tables_of(REVISIONS[0]).items()
    )
    if ours and FORMER_VERSION_TABLE in found:
        raise UnreleasedError


def reserved_names(found: str = BASE) -> list[str]:
    """Return every table and index name that the schema adds to the revision `found`."""
    there = _tables_of(found) if found != BASE else {}
    new = [table for name, table in metadata.tables.items() if name not in there]
    indexes = [str(index.name) for table in new for index in table.indexes]
    return sorted([*(table.name for table in new), *(f"{table.name}_pkey" for table in new), *indexes])


def _tables_of(revision: str) -> dict[str, sa.Table]:
    return {name: table for name, table in metadata.tables.items() if is_of(table.info.get(SINCE_REVISION), revision)}
