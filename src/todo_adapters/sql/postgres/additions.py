"""Names what somebody else has added to a PostgreSQL database and what refused a valid write, by SQLSTATE and names."""

from __future__ import annotations

from typing import Final

import psycopg

from todo_adapters.sql.tables import DOMAINS, metadata

_CONSTRAINT: Final = "23"
_NO_NULL: Final = "23502"
_FROM_A_FUNCTION: Final = "P0"
"""The class of errors that only functions raise; the service has none."""

_SEQUENCE_ENDED: Final = "2200H"

_TABLES: Final = metadata.tables.values()
OUR_CONSTRAINTS: Final = frozenset(
    [
        *(str(each.name) for table in _TABLES for each in table.constraints if each.name),
        *(str(each.name) for table in _TABLES for each in table.indexes),
        *(f"{domain}_check" for domain in DOMAINS.values()),  # as PostgreSQL names the check of a domain
    ]
)
_OUR_COLUMNS: Final = {table.name: set(table.columns.keys()) for table in _TABLES}


def what_refused(error: psycopg.Error) -> str | None:
    """Return what refused the write, without a value of any row; None if that may be todo's own, and so a bug.

    A refusal by a constraint, a domain or a column of todo's tables is a bug even if another program's trigger has
    changed the row before. It is not for errors of Citus, which name no constraint.
    """
    state = error.sqlstate or ""
    if state == _SEQUENCE_ENDED:
        return "the sequence of the ids of tasks, or one that a trigger uses, has reached its end: set it lower"
    if state.startswith(_FROM_A_FUNCTION):
        return f"a trigger that is not todo's raised an exception{_place(error)}"
    if state == _NO_NULL:
        return _column(error)
    if state.startswith(_CONSTRAINT):
        return _constraint(error)
    return None


def _constraint(error: psycopg.Error) -> str | None:
    name = error.diag.constraint_name
    if name is None:  # PostgreSQL itself names the constraint in every refusal
        return f"a trigger that is not todo's raised an exception with SQLSTATE {error.sqlstate}{_place(error)}"
    if name in OUR_CONSTRAINTS:
        return None
    return f"the constraint {name} of {error.diag.table_name or error.diag.datatype_name}, which is not todo's"


def _column(error: psycopg.Error) -> str | None:
    table, column = error.diag.table_name, error.diag.column_name
    if table is None or column is None or column in _OUR_COLUMNS.get(table, ()):
        return None
    return f"the column {column} of {table}, which is not todo's, must not be null and has no default"


def _place(error: psycopg.Error) -> str:
    """Return where a function raised its own exception, unless PostgreSQL's line quotes a statement."""
    line = (error.diag.context or "").partition("\n")[0]
    return f": {line}" if line and '"' not in line else ""
