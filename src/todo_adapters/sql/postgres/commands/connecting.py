"""The connections of the commands, and the reasons why one fails.

libpq reports a failed connection as text, without a code. The text is passed on without user, password and host,
because people paste the output of commands into public reports.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from todo_adapters.sql.schema import SqlError

CONNECT_TIMEOUT: Final = 10
"""Seconds to wait for a connection, unless the URL sets a time: a suspended database needs time to start."""

LOCK_TIMEOUT: Final = "5s"
"""How long a command that only looks waits for the lock on a table."""

_SECRET: Final = re.compile("user|password|secret|_key$|hostaddr")
_FAILURE: Final = re.compile(r"- host: '?(?P<host>.*?)'?, port: .*?, hostaddr: '?(?P<address>.*?)'?: (?P<reason>.*)")
_SAYS_NOTHING: Final = re.compile("connection (failed|is bad): ")
_LONGEST: Final = 500


class CannotConnectError(SqlError):
    """There is no connection; `str()` has the reason without user, password and host."""


def connect(url: str) -> psycopg.Connection:
    """Return a connection to the database of a `postgresql://` URL, or raise CannotConnectError."""
    try:
        info = make_conninfo("", **{"connect_timeout": CONNECT_TIMEOUT} | conninfo_to_dict(url))
        return psycopg.connect(info, prepare_threshold=None, client_encoding="UTF8")
    except psycopg.Error as error:
        raise CannotConnectError(_why(error, url)) from None


def _why(error: psycopg.Error, url: str) -> str:
    """Return the sentence for a failed connection. May connect to another database of the server, for up to 2 s."""
    reason = first_line(error, url)
    if error.pgconn is None or isinstance(error, psycopg.errors.ConnectionTimeout):
        return f"the database cannot be reached: {reason}"
    try:
        psycopg.connect(url, dbname="postgres", connect_timeout=2).close()
    except psycopg.Error as other:
        if other.pgconn is not None and other.pgconn.needs_password:
            return "the database asks for a password: put it into the URL"
        if other.pgconn is not None and other.pgconn.used_password:
            return f"the database refuses this user or password: {reason}"
        return f"the database cannot be reached: {reason}"
    return f"the server has no such database for this login: {reason}"


def first_line(error: psycopg.Error, url: str) -> str:
    """Return libpq's first line without user, password and host; for several hosts, the line of each, by its number."""
    given = conninfo_to_dict(url)
    lines = str(error).splitlines() or ["no reason is given"]
    hosts = [name.strip("[]") for name in str(given.get("host") or "").split(",")]
    secrets = {*hosts, *_secrets(error, given)}
    reasons = []
    for failure in filter(None, map(_FAILURE.match, lines)):
        number = f"host {hosts.index(failure['host']) + 1}: " if failure["host"] in hosts else ""
        secrets.add(failure["address"])
        reasons.append(f"{number}{failure['reason']}")
    text = " ".join(_SAYS_NOTHING.sub("", "; ".join(reasons or lines[:1])).split())
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = re.sub(rf"(?<![\w.]){re.escape(secret)}(?![\w.])", "…", text)
    return text[:_LONGEST]


def _secrets(error: psycopg.Error, given: Mapping[str, object]) -> set[str]:
    found = {str(value) for name, value in given.items() if _SECRET.search(name)}
    if (pg := error.pgconn) is not None:
        found |= {value.decode(errors="replace") for value in (pg.user, pg.password, pg.host, pg.hostaddr)}
    return found
