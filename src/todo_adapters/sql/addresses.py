"""Parses database URLs, for the settings, the stores, the migrations and every command."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from msgspec import Struct

from todo_adapters.sql.percent import decoded

_SQLITE: Final = "sqlite:///"


class Database(Struct, frozen=True):
    """Where the tasks are stored: a PostgreSQL URL, a SQLite file, or neither, for this process's memory."""

    url: str | None = None
    file: Path | None = None

    @property
    def kind(self) -> Literal["postgresql", "sqlite", "memory"]:
        """The kind of the store."""
        return "postgresql" if self.url else "sqlite" if self.file else "memory"

    @property
    def address(self) -> str:
        """The URL for the migrations. It may contain a password."""
        return self.url or (f"{_SQLITE}{quote(str(self.file))}" if self.file else "memory:")

    def __repr__(self) -> str:
        """Show no user, password or host."""
        return f"sqlite:///{self.file}" if self.file else self.kind


def database_url(text: str) -> Database:
    """Return the database that a URL names. Raises ValueError with the rest of a sentence about the URL.

    The sentence repeats no part of the URL that may be a user, a password or a host.
    """
    if text in {"memory:", "memory://"}:
        return Database()
    if (path := sqlite_path(text)) is not None:
        return Database(file=path)
    return Database(url=postgresql_url(text))


def sqlite_path(url: str) -> Path | None:
    """Return the file that a `sqlite:///file` URL names, percent-decoded, or None for the URL of another database.

    Raises ValueError as `database_url` does.
    """
    scheme = url.partition(":")[0].lower()
    if scheme.partition("+")[0] not in {"sqlite", "sqlite3"}:
        return None
    path, question, parameters = url[len(_SQLITE) :].partition("?")
    if not url.startswith(_SQLITE) or not path or path.startswith(":memory:"):
        raise ValueError("names no file: write sqlite:///todo.db, or memory: for none")
    if question:
        name = parameters.partition("=")[0]
        raise ValueError(f"has parameters, which a SQLite URL cannot have: leave out ?{name}…, or write ? as %3F")
    return Path(decoded(path))


def postgresql_url(text: str) -> str:
    """Return a PostgreSQL URL with libpq's scheme, postgresql. Raises ValueError as `database_url` does."""
    from todo_adapters.sql.postgres.url import libpq_url  # noqa: PLC0415  SQLite needs no PostgreSQL driver

    return libpq_url(text)
