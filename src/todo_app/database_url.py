"""Where tasks are kept, read from one URL."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct


class Database(Struct, frozen=True):
    """Where tasks are kept: a PostgreSQL URL, a SQLite file, or neither, for this process's memory."""

    url: str | None = None
    file: Path | None = None

    @property
    def kind(self) -> Literal["postgresql", "sqlite", "memory"]:
        """Which store serves it."""
        return "postgresql" if self.url else "sqlite" if self.file else "memory"

    def __repr__(self) -> str:
        """Show no user, password or host."""
        return f"sqlite:///{self.file}" if self.file else self.kind


def database_url(text: str) -> Database:
    """Return the database that a URL names. Raises ValueError with the rest of a sentence about the URL."""
    if text in {"memory:", "memory://"}:
        return Database()
    if text.startswith("sqlite:///"):
        path = text.removeprefix("sqlite:///")
        if not path or path.startswith(":memory:"):
            raise ValueError("names no file: write sqlite:///todo.db, or memory: for none")
        return Database(file=Path(path))
    return Database(url=postgresql_url(text))


def postgresql_url(text: str) -> str:
    """Return a PostgreSQL URL with the scheme postgresql. Raises ValueError with the rest of a sentence."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise ValueError("must be sqlite:///file, postgresql://user:password@host/database or memory:")
    try:
        urlsplit(f"postgresql://{rest}").port  # noqa: B018  the property parses
    except ValueError:
        raise ValueError("has a port that is no number") from None
    return f"postgresql://{rest}"
