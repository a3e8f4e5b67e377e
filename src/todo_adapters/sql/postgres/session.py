"""The settings that our statements rely on, which an administrator may have changed for a login or a database.

On a connection of its own the service sets them once. A pooler hands a session from client to client, so there only
those are set that poolers keep for each client; what else is wrong there is named by `check_session`.
"""

from __future__ import annotations

import re
from typing import Final

from psycopg import AsyncConnection

from todo_adapters.sql.rows import Row
from todo_adapters.sql.tables import ROLE
from todo_domain.errors import Unavailable

_NEEDED: Final = {
    "DateStyle": "ISO, MDY",
    "standard_conforming_strings": "on",
    "row_security": "on",
    "default_transaction_isolation": "read committed",
    "exit_on_error": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
}
_KEPT_BY_POOLERS: Final = {"DateStyle", "standard_conforming_strings"}
"""PgBouncer tells these to each server that it gives a client, and so does every pooler that drivers work with."""

_TOO_SHORT: Final = re.compile(r"[1-9][0-9]?ms")
"""A timeout below 0.1 s. A longer one does no harm: each of our transactions has its own."""

_SETTINGS: Final = ", ".join(f"current_setting('{name}', true)" for name in _NEEDED)
_FOUND: Final = f"SELECT pg_backend_pid(), current_setting('server_encoding'), {_SETTINGS}"

ENCODING: Final = "the database cannot hold every text: create it with the encoding UTF8"


async def prepare(connection: AsyncConnection[Row]) -> bool:
    """Set what has to be set on a new connection, and return whether it leads through a pooler.

    Raises Unavailable for a database whose encoding cannot hold every text, and psycopg.Error.
    """
    row = await (await connection.execute(_FOUND)).fetchone()
    pid, encoding, *values = row or ()
    if encoding != "UTF8":
        raise Unavailable(ENCODING)
    pooled = bool(pid != connection.info.backend_pid)  # a pooler gives its clients process ids of its own making
    wrong = [name for name, value in zip(_NEEDED, values, strict=True) if _is_wrong(name, value)]
    for name in wrong:
        if not pooled or name in _KEPT_BY_POOLERS:
            await connection.execute("SELECT set_config(%s, %s, false)", [name, _NEEDED[name]])
    return pooled


def _is_wrong(name: str, value: str | None) -> bool:
    """Whether a setting has a value that our statements do not work with; None is one that this server lacks."""
    if value is None:
        return False
    if name.endswith("_timeout"):
        return _TOO_SHORT.fullmatch(value) is not None
    return not value.startswith("ISO") if name == "DateStyle" else value != _NEEDED[name]


CHECKED: Final = ("role", "row_security", "transaction_isolation", "DateStyle", "standard_conforming_strings")
"""What `require_usable` is told the values of, in this order, as a statement of ours sees them."""


def require_usable(role: str, row_security: str, isolation: str, dates: str, strings: str) -> None:
    """Raise Unavailable, naming the setting, unless statements work with these values of CHECKED."""
    for wrong, sentence in (
        (role != ROLE, f"statements do not run as {ROLE}: connect without a pooler that changes roles"),
        (row_security != "on", "row_security is off, which refuses every statement here: reset it for this login"),
        (isolation != "read committed", "transactions are not read committed here: reset that for this login"),
        (not dates.startswith("ISO"), "dates are not written as ISO does here: reset DateStyle for this login"),
        (strings != "on", "standard_conforming_strings is off here: reset it for this login"),
    ):
        if wrong:
            raise Unavailable(sentence)
