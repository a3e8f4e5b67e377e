"""The types of columns, and the form in which each engine takes their values."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from todo_domain.instants import text_of_instant

Row = tuple[Any, ...]
"""A row of a result."""

INSTANT: Final = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
DATE: Final = sa.Date().with_variant(sa.Text(), "sqlite")
TEXTS: Final = sa.Text().with_variant(ARRAY(sa.Text()), "postgresql")
NUMBERS: Final = sa.Text().with_variant(ARRAY(sa.BigInteger()), "postgresql")
FOLDED: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


class Forms(NamedTuple):
    """The parameter forms of an engine for an instant, a date, and a list of texts or numbers."""

    instant: Callable[[datetime], Any]
    day: Callable[[date], Any]
    several: Callable[[Sequence[Any]], Any]


def _as_it_is(value: Any) -> Any:  # noqa: ANN401  whatever it is
    return value


def _json(values: Sequence[Any]) -> str:
    return json.dumps(values, ensure_ascii=False) if values else "[]"


def _array(values: Sequence[Any]) -> Any:  # noqa: ANN401  what psycopg takes for an array
    # psycopg takes as long for an empty list as for all other parameters together.
    return list(values) if values else "{}"


POSTGRESQL_FORMS: Final = Forms(instant=_as_it_is, day=_as_it_is, several=_array)
SQLITE_FORMS: Final = Forms(instant=text_of_instant, day=date.isoformat, several=_json)
