"""Additions of others to todo's tables: a trigger or a constraint that refuses a write which todo allows.

A client cannot help it, and it is no bug of the service, so it is 503. The operator's log names what refused the write;
it never has a value of a row, and the response has nothing of it.
"""

from __future__ import annotations

import logging

from todo_domain.errors import Unavailable

_log = logging.getLogger("todo.sql")


class RefusedByAddition(Unavailable):
    """Something in the database that is not todo's refused a write, and nothing was written."""

    def __init__(self, what: str) -> None:
        super().__init__("the database does not take this write for now: the log of the service has the reason")
        self.what = what

    def log(self) -> None:
        """Name to the operator what refused the write."""
        _log.error("a write was refused by the database: %s", self.what)
