"""Logging: one line for each record, readable on a terminal, else JSON."""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from todo_adapters.observability.trace_context import served

if TYPE_CHECKING:
    from todo_app.settings import Settings

SELDOM: Final = 60.0
"""Seconds between two records of the same line of OpenTelemetry's code."""

_OWN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """Each record as one JSON object: time, level, logger, message, the caller's extra fields, and a stack if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; control characters are escaped."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: str(value) for name, value in record.__dict__.items() if name not in _OWN}
        if record.exc_info:
            line["stack"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class OfRequest(logging.Filter):
    """Adds the current request to each record: `request_id`, and `trace_id` and `span_id` if there are any."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields that the record lacks."""
        for name, value in served().items():
            record.__dict__.setdefault(name, value)
        return True


class Seldom(logging.Filter):
    """Limits each line of OpenTelemetry's code to one record in SELDOM seconds, without the text of exceptions.

    While its collector is unreachable, OpenTelemetry logs several times a second; and the text of a connection error
    has the URL, which contains a key for some collectors.
    """

    def __init__(self) -> None:
        super().__init__()
        self._spoke: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written."""
        if not record.name.startswith("opentelemetry."):
            return True
        line, now = (record.name, record.lineno), time.monotonic()
        if line in self._spoke and now - self._spoke[line] < SELDOM:
            return False
        self._spoke[line] = now
        if isinstance(record.args, tuple):
            record.args = tuple(type(arg).__name__ if isinstance(arg, BaseException) else arg for arg in record.args)
        record.exc_info = None
        return True


def configure_logging(settings: Settings) -> None:
    """Send every log record to standard error, in the format and from the level of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    terminal = sys.stderr.isatty()
    as_json = settings.log_format == "json" or (settings.log_format is None and not terminal)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter("%(levelname)-7s %(message)s"))
    handler.addFilter(Seldom())
    handler.addFilter(OfRequest())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel((settings.log_level or ("warning" if terminal else "info")).upper())
    for chatty in ("alembic", "httpx", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
