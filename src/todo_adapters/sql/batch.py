"""Several statements that PostgreSQL is sent at once, and runs as one transaction under the user's own name."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from todo_adapters.sql.dialects import POSTGRESQL, text_of
from todo_adapters.sql.statements import OWNER, parameter
from todo_adapters.sql.tables import ROLE

LONGEST: Final = 4_096
"""Characters beyond which psycopg parses a text anew on every call."""

_CONTEXT: Final = sa.select(
    sa.func.set_config(sa.literal_column("'role'"), sa.literal_column(f"'{ROLE}'"), sa.true()),
    sa.func.set_config(sa.literal_column("'todo.user_id'"), OWNER, sa.true()),
    sa.func.set_config(sa.literal_column("'statement_timeout'"), parameter("timeout", sa.Text), sa.true()),
)
"""Says who is acting, for this transaction only: nothing of it is left on the connection, or in a pooler, after it."""


class Batch:
    """The text of a context and some statements. All share one set of named parameters.

    Besides their own, the parameters are `owner`, and `timeout` in milliseconds for each statement. `writes` says
    whether running it twice would differ from running it once. Raises TypeError for a statement with a value of its
    own, and ValueError for a text that is too long to be remembered.
    """

    def __init__(self, *statements: sa.ClauseElement, writes: bool = False) -> None:
        self.sql = ";\n".join(text_of(statement, POSTGRESQL) for statement in (_CONTEXT, *statements))
        self.writes = writes
        if len(self.sql) > LONGEST:
            raise ValueError(f"{len(self.sql)} characters are too many for a batch: at most {LONGEST}")
