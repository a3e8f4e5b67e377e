"""Sentences for PostgreSQL's errors, by their SQLSTATE, never by their text."""

from __future__ import annotations

from typing import Final

import psycopg

OUR_OWN: Final = "TD001"
"""The SQLSTATE of errors that the migrations raise, whose message is for the administrator."""

LOCK_NOT_AVAILABLE: Final = "55P03"
NO_PRIVILEGE: Final = "42501"
NO_SUCH_ROLE: Final = "22023"

CANCELLED: Final = "57014"
INTERNAL: Final = "XX000"

LOST_RACE: Final = {"40001", "40P01"}
"""Errors after which nothing was committed, and a repetition may succeed."""

NOT_PREPARED: Final = {"26000", "42P05"}
"""A server does not know a named statement, or knows it already: a pooler in between switches servers."""

OUTDATED: Final = "0A000"
"""A statement was prepared for the schema before a migration."""

BROKEN: Final = "the connection to the database broke: try again"
CANCELLED_EARLY: Final = "statements are cancelled as soon as they begin: reset statement_timeout for this login"
TOO_SLOW: Final = "the database takes too long to answer: try again"
NOT_ALLOWED: Final = "the database refuses a statement of the service: run todo doctor"
_RESTARTING: Final = "the database is restarting: try again"
_CHANGED: Final = "the schema has just changed: try again"
_BEHIND: Final = "the schema is missing or behind this release: run todo migrate"
_MISSING: Final = "there is no such database: check its name in the URL, or create it"
_REFUSED: Final = "the database refuses this user or password: check both in the URL"
_FULL: Final = "the database is out of space, memory or connections: free some there"
_CROWDED: Final = "too many others are changing the same data: try again"

_SENTENCES: Final = {
    "08": BROKEN,
    OUTDATED: _CHANGED,
    "25P03": TOO_SLOW,
    "25P04": TOO_SLOW,
    "25006": "the database is read-only for now: try again later",
    "28": _REFUSED,
    "3D000": _MISSING,
    "3F000": _BEHIND,
    "40001": _CROWDED,
    "40P01": _CROWDED,
    "42P01": _BEHIND,
    "42703": _BEHIND,
    "53": _FULL,
    "53100": "the database's disk is full: free some space there",
    LOCK_NOT_AVAILABLE: _CROWDED,
    CANCELLED: TOO_SLOW,
    "57P01": _RESTARTING,
    "57P02": _RESTARTING,
    "57P03": _RESTARTING,
    "57P04": _MISSING,
    "57P05": "the database ends idle connections too soon: raise idle_session_timeout for this login",
    "58": "the database's own disk failed: look at its log",
}

_HUNG_UP: Final = ("08", "57P01", "57P02", "57P05")


def sentence_for(error: psycopg.Error) -> str | None:
    """Return a sentence with the problem and the remedy, None if the error is a bug."""
    state = error.sqlstate
    if state is None:
        return BROKEN if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) else None
    return _SENTENCES.get(state) or _SENTENCES.get(state[:2])


def left_open(error: psycopg.Error) -> bool:
    """Return whether the outcome of a sent transaction is unknown, because the connection ended before its result.

    A pooler in between reports that as an error of class 08, and a server that ends a connection may already have
    committed the transaction.
    """
    return error.sqlstate is None or error.sqlstate.startswith(_HUNG_UP)


def why_out_of_reach(error: psycopg.Error) -> str:
    """Return why the service has no connection, without libpq's text, because every client may read this.

    libpq gives no code for a refusal, but it reports how far it got.
    """
    if error.sqlstate == CANCELLED:
        return CANCELLED_EARLY
    if error.sqlstate is not None and (sentence := sentence_for(error)) is not None:
        return sentence
    if error.pgconn is not None and error.pgconn.used_password:
        return (
            "the database turns this login away: check its password, its limit of connections and the database's name"
        )
    return "the database cannot be reached: try again"
