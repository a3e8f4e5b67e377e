"""Which of our tables a database has, and whether they are ours: pure comparisons, for both engines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from todo_adapters.sql.schema import (
    BASE,
    FORMER_VERSION_TABLE,
    UNRELEASED,
    VERSION_TABLE,
    MigrationError,
    UnreleasedError,
    head,
)
from todo_adapters.sql.tables import metadata

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
    for name, table in metadata.tables.items():
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
        for name, table in metadata.tables.items()
    )
    if ours and FORMER_VERSION_TABLE in found:
        raise UnreleasedError


def reserved_names() -> list[str]:
    """Return every name that the schema takes: its tables and their indexes."""
    indexes = [str(index.name) for table in metadata.tables.values() for index in table.indexes]
    return sorted([*TABLES, *(f"{name}_pkey" for name in TABLES), *indexes])
