"""Wraps every call of a store, to time, count or trace it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar

from todo_domain import Tasks
from todo_domain.editing import EditsInOneStep

P = ParamSpec("P")
T = TypeVar("T")


class Wrap(Protocol):
    """Returns the replacement of an operation's `call`, with the same arguments and outcome."""

    def __call__(
        self, operation: str, call: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        """Return the replacement."""


class Wrapped:
    """The port `Tasks` over another store, and `EditsInOneStep` if that store has it, with each method wrapped.

    `check` is wrapped only with `checks`.
    """

    def __init__(self, tasks: Tasks, wrap: Wrap, *, checks: bool = False) -> None:
        self.create = wrap("create", tasks.create)
        self.get = wrap("get", tasks.get)
        self.get_once = wrap("get_once", tasks.get_once)
        self.page = wrap("page", tasks.page)
        self.replace = wrap("replace", tasks.replace)
        self.toggle = wrap("toggle", tasks.toggle)
        self.delete = wrap("delete", tasks.delete)
        self.snapshot = wrap("snapshot", tasks.snapshot)
        self.apply = wrap("apply", tasks.apply)
        self.changes = wrap("changes", tasks.changes)
        self.export = wrap("export", tasks.export)
        self.erase = wrap("erase", tasks.erase)
        self.make_feed = wrap("make_feed", tasks.make_feed)
        self.end_feed = wrap("end_feed", tasks.end_feed)
        self.feed = wrap("feed", tasks.feed)
        self.trash = wrap("trash", tasks.trash)
        self.restore = wrap("restore", tasks.restore)
        self.discard = wrap("discard", tasks.discard)
        self.empty_trash = wrap("empty_trash", tasks.empty_trash)
        if isinstance(tasks, EditsInOneStep):
            self.edit = wrap("edit", tasks.edit)
        self.check = wrap("check", tasks.check) if checks else tasks.check
