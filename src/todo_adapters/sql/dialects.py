"""The two SQL dialects, and expressions that differ between them."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

POSTGRESQL: Final[Dialect] = PGDialect_psycopg()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
SQLITE: Final[Dialect] = SQLiteDialect_pysqlite(paramstyle="named")


class Either(sa.ColumnElement[bool]):
    """One expression with a version for each dialect."""

    inherit_cache = False

    def __init__(self, *, postgresql: sa.ClauseElement, sqlite: sa.ClauseElement) -> None:
        self.postgresql = postgresql
        self.sqlite = sqlite


@compiles(Either)
def _spelt(element: Either, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  the compiler's own options
    spelling: sa.ClauseElement = getattr(element, compiler.dialect.name)
    return compiler.process(spelling, **options)


def text_of(statement: sa.ClauseElement, dialect: Dialect) -> str:
    """Return the statement as one line of SQL with named parameters.

    Raises TypeError if it contains a literal value: SQLAlchemy makes up a parameter name for it, which another
    statement of the same transaction may also use.
    """
    compiled = statement.compile(dialect=dialect)
    if values := {name for name, value in compiled.params.items() if value is not None}:
        raise TypeError(f"a statement carries values of its own: {sorted(values)}")
    return " ".join(str(compiled).split())
