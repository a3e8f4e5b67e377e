"""Transactions: the statements of one request, which are sent together and run with the rights of one user."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.types import NullType

from todo_adapters.sql.dialects import POSTGRESQL, text_of
from todo_adapters.sql.statements import OWNER, parameter
from todo_adapters.sql.tables import ROLE

_TIMEOUT: Final = parameter("timeout", sa.Text)
_LOCK_TIMEOUT: Final = parameter("lock_timeout", sa.Text)
_LOCKS: Final = sa.literal_column("1953457263", sa.BigInteger)
"""Distinguishes our advisory locks from those of other programs: "todo" in ASCII."""


def _set(name: str, value: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    return sa.func.set_config(sa.literal_column(f"'{name}'"), value, sa.true())


_CONTEXT: Final = sa.select(
    _set("role", sa.literal_column(f"'{ROLE}'")), _set("todo.user_id", OWNER), _set("statement_timeout", _TIMEOUT)
)
"""Sets the role, the user and the timeout for this transaction only; nothing stays on the connection or in a pooler."""

_LEFT: Final = sa.func.greatest(
    sa.literal_column("1"),
    sa.cast(_TIMEOUT, sa.Integer)
    - sa.cast(sa.literal_column("extract(epoch FROM clock_timestamp() - now()) * 1000"), sa.Integer),
)
"""Milliseconds of the timeout that the transaction has not spent yet: at least 1, because 0 means no timeout."""

_TAKE_USER_LOCK: Final = sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(OWNER, _LOCKS))
_LOCK: Final = _CONTEXT.add_columns(
    # A statement timeout does not apply to the statement that sets it, a lock timeout does.
    _set("lock_timeout", _LOCK_TIMEOUT),
    # Where the statistics still say that a table is empty, a plan would read all of it, and be kept when it is not.
    _set("enable_seqscan", sa.literal_column("'off'")),
    _TAKE_USER_LOCK,
    # Set again after the wait; otherwise the next statement could wait for a row as long again, beyond the deadline.
    _set("statement_timeout", sa.cast(_LEFT, sa.Text)),
)
"""The context of a write. It also takes the user's lock, whether or not the user has a row yet.

The timeout covers this wait and the following statement together. Each following statement sees everything that
earlier writes of the user have committed, because it begins under the lock.
"""

_NEXT_LOCK: Final = sa.select(_set("todo.user_id", OWNER), _TAKE_USER_LOCK)
"""The context of a write behind another one in its group: the role and the timeouts hold until the group's end.

The time that the group has spent is not taken off the statement timeout again, because the lock timeout of a group ends
each of its waits after a moment.
"""

_PARAMETER: Final = re.compile(r"%%|%\((\w+)\)s(?=(::)?)")


class Statement(NamedTuple):
    """One statement as it travels; `parameter_indexes` are those of its parameters among the transaction's, in order.

    The name is a digest of the text, so two statements under one name are the same.
    """

    name: bytes
    text: bytes
    parameter_indexes: tuple[int, ...]


class Transaction:
    """The context and the statements of one request. All share one set of named parameters.

    Besides their own, the parameters are `owner`, and `timeout` in milliseconds for each statement; of one that writes
    also `lock_timeout`, for each wait for a lock. `writes` says whether running it twice would differ from running it
    once; `alone` whether it may take long, and so must not have others behind it; `grouped` whether it is a short
    write, which may run in a group: several of these in one PostgreSQL transaction. `wanted` are the places of the
    statements whose rows the caller gets; by default, of all. Raises TypeError for a statement with a value of its own.
    """

    def __init__(
        self,
        *statements: sa.ClauseElement,
        writes: bool = False,
        alone: bool = False,
        grouped: bool = False,
        wanted: tuple[int, ...] | None = None,
    ) -> None:
        self.writes = writes or grouped
        self.alone = alone
        self.grouped = grouped
        self.wanted = wanted
        names: dict[str, int] = {}
        self.statements = tuple(_travelling(each, names) for each in (_LOCK if self.writes else _CONTEXT, *statements))
        self.behind = (_travelling(_NEXT_LOCK, names), *self.statements[1:]) if grouped else self.statements
        """The statements of a transaction that is not the first of its group."""
        self.parameters = tuple(names)


def _travelling(statement: sa.ClauseElement, names: dict[str, int]) -> Statement:
    """Return the statement with numbered parameters, each of a certain type, adding those that are new to `names`."""
    binds = statement.compile(dialect=POSTGRESQL).binds  # type: ignore[attr-defined]  # a SQLCompiler has them
    own: dict[str, int] = {}

    def numbered(match: re.Match[str]) -> str:
        if (name := match[1]) is None:
            return "%"
        names.setdefault(name, len(names))
        number = own.setdefault(name, len(own) + 1)
        # SQLAlchemy leaves some types to the driver; PostgreSQL has to know them when it prepares.
        known = match[2] or isinstance(binds[name].type, NullType)
        return f"${number}" if known else f"${number}::{binds[name].type.compile(POSTGRESQL)}"

    sql = _PARAMETER.sub(numbered, text_of(statement, POSTGRESQL)).encode()
    return Statement(b"todo_" + sha256(sql).hexdigest()[:24].encode(), sql, tuple(names[name] for name in own))
