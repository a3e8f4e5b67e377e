"""Database URLs, in the spellings that people use for them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_POSTGRESQL: Final = ("postgresql://", "postgres://", "postgresql+psycopg://")
_SQLITE: Final = "sqlite:///"


def sqlite_path(url: str) -> Path | None:
    """Return the file that a `sqlite:///file` URL names, or None for any other URL."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) and url != _SQLITE else None


def conninfo(url: str) -> str:
    """Return the URL in libpq's own spelling, or raise ValueError (which never repeats it) for another database."""
    for scheme in _POSTGRESQL:
        if url.startswith(scheme):
            return f"postgresql://{url.removeprefix(scheme)}"
    raise ValueError("the database URL must begin with sqlite:/// or postgresql://")
