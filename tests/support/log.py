"""Finds errors in the log of a server under test: no bytes of a client may cause one."""

from __future__ import annotations

import json
import logging


def error_lines(log: str) -> list[str]:
    """Return the lines of a log, JSON or plain, that are errors; a stack is one, too."""
    return [line for line in log.splitlines() if _is_error(line)]


def _is_error(line: str) -> bool:
    if not line.startswith("{"):
        return line.startswith(("ERROR", "CRITICAL", "Traceback"))
    try:
        return json.loads(line).get("level") in {"error", "critical"}
    except json.JSONDecodeError:
        return False


class ErrorRecords(logging.Handler):
    """Keeps the errors that are logged in this process."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.lines.append(f"{record.levelname} {record.getMessage()} {record.exc_info or ''}")
