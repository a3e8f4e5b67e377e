"""What lies in the database in the end, read past the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Self


class User(NamedTuple):
    """A row of users."""

    id: str
    revision: int
    task_count: int
    horizon: int


class Row(NamedTuple):
    """A row of tasks, as far as a mishap could show in it."""

    user: str
    id: int
    title: str
    title_key: str
    description: str | None
    revision: int


class Stone(NamedTuple):
    """A row of tombstones."""

    user: str
    task: int
    revision: int


class Key(NamedTuple):
    """A row of idempotency_keys."""

    user: str
    key: str
    task: int
    revision: int


class Rows(NamedTuple):
    """All rows of all tables."""

    users: list[User]
    tasks: list[Row]
    stones: list[Stone]
    keys: list[Key]

    @classmethod
    def read(cls, query: Callable[[str], list[tuple[Any, ...]]]) -> Self:
        """Return what the database holds; `query` runs one statement there with every right."""
        return cls(
            [User(*row) for row in query("SELECT id, revision, task_count, horizon FROM users")],
            [Row(*row) for row in query("SELECT user_id, id, title, title_key, description, revision FROM tasks")],
            [Stone(*row) for row in query("SELECT user_id, task_id, revision FROM tombstones")],
            [Key(*row) for row in query("SELECT user_id, key, task_id, revision FROM idempotency_keys")],
        )
