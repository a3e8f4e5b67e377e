"""The settings that the statements rely on, which an administrator may have changed for a login or a database.

On a direct connection the service sets them once. A pooler shares a session between clients, so there only the settings
that poolers keep for each client are set; `require_usable` reports other wrong settings.
"""

from __future__ import annotations

import re
import time
from typing import Final, NamedTuple

from psycopg import AsyncConnection

from todo_adapters.sql.postgres.statements.citus import IS_CITUS, NOT_PROPAGATED, PROPAGATION
from todo_adapters.sql.tables import ROLE
from todo_adapters.sql.values import Row
from todo_domain.errors import Unavailable

_NEEDED: Final = {
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "standard_conforming_strings": "on",
    "row_security": "on",
    "default_transaction_isolation": "read committed",
    "exit_on_error": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    PROPAGATION: "local",
}
_KEPT_BY_POOLERS: Final = {"DateStyle", "standard_conforming_strings"}
"""PgBouncer, like every pooler that drivers support, sends these to each server connection that it assigns to a
client."""

_TOO_SHORT: Final = re.compile(r"[1-9][0-9]?ms")
"""A timeout below 0.1 s. A longer one is harmless, because each transaction sets its own."""

_SETTINGS: Final = ", ".join(f"current_setting('{name}', true)" for name in _NEEDED)
_FOUND: Final = f"SELECT pg_backend_pid(), EXISTS ({IS_CITUS}), current_setting('server_encoding'), {_SETTINGS}"

ENCODING: Final = "the database cannot hold every text: create it with the encoding UTF8"


class Session(NamedTuple):
    """Properties of a connection.

    They are whether it leads through a pooler, whether the database is one of Citus, and how many seconds a round trip
    took.
    """

    pooled: bool
    citus: bool
    distance: float


async def prepare(connection: AsyncConnection[Row]) -> Session:
    """Prepare a new connection; return its properties.

    Raises Unavailable for a database whose encoding cannot store every text, and for one of Citus where the nodes would
    not learn the user. Raises psycopg.Error.
    """
    begun = time.monotonic()
    row = await (await connection.execute(_FOUND)).fetchone()
    distance = time.monotonic() - begun
    pid, citus, encoding, *values = row or ()
    if encoding != "UTF8":
        raise Unavailable(ENCODING)
    pooled = bool(pid != connection.info.backend_pid)  # a pooler gives its clients made-up process ids
    wrong = [name for name, value in zip(_NEEDED, values, strict=True) if _is_wrong(name, value)]
    if citus and pooled and PROPAGATION in wrong:
        raise Unavailable(NOT_PROPAGATED)
    for name in wrong:
        if not pooled or name in _KEPT_BY_POOLERS:
            await connection.execute("SELECT set_config(%s, %s, false)", [name, _NEEDED[name]])
    return Session(pooled, citus, distance)


def _is_wrong(name: str, value: str | None) -> bool:
    """Return whether a setting has an unusable value; None is the value of a setting that this server lacks."""
    if value is None:
        return False
    if name.endswith("_timeout"):
        return _TOO_SHORT.fullmatch(value) is not None
    return not value.startswith("ISO") if name == "DateStyle" else value != _NEEDED[name]


CHECKED: Final = ("role", "row_security", "transaction_isolation", "DateStyle", "standard_conforming_strings")
"""The settings whose values, as a statement sees them, `require_usable` gets in this order."""


def require_usable(role: str, row_security: str, isolation: str, dates: str, strings: str) -> None:
    """Raise Unavailable, which names the setting, unless statements work with these values of CHECKED."""
    for wrong, sentence in (
        (role != ROLE, f"statements do not run as {ROLE}: connect without a pooler that changes roles"),
        (row_security != "on", "row_security is off, so every statement fails: reset it for this login"),
        (
            isolation != "read committed",
            "transactions are not read committed: reset default_transaction_isolation for this login",
        ),
        (not dates.startswith("ISO"), "dates are not written in ISO format: reset DateStyle for this login"),
        (strings != "on", "standard_conforming_strings is off: reset it for this login"),
    ):
        if wrong:
            raise Unavailable(sentence)
