"""Times as text: RFC 3339 in UTC with exactly six decimals, such as `2026-11-22T09:15:00.123456Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from todo_domain.errors import Invalid

_FORM: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def text_of_instant(instant: datetime) -> str:
    """Return an aware time as text of fixed width, which sorts like the time."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def instant_of_text(field: str, text: object) -> datetime:
    """Return the time that `text_of_instant` writes as `text`. Raises Invalid for anything else."""
    try:
        if type(text) is str and _FORM.fullmatch(text) is not None:
            instant = datetime.fromisoformat(text)
            if text_of_instant(instant) == text:
                return instant
    except ValueError:  # a day or an hour that there is not
        pass
    raise Invalid(field, "must be a time in UTC like 2026-11-22T09:15:00.123456Z")
