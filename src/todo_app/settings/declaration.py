"""The declaration of a setting: the variable, the parser, the default, the help sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of the table. The first of the `variables` that is set counts. `help` and `default` are Markdown."""

    variables: tuple[str, ...]
    parse: Callable[[str], object]
    default: str
    public: bool
    help: str


def plain(value: object) -> str | int | None:
    """Return a value in the form of the `start` event."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(value)
    return value if isinstance(value, str | int | None) else str(value)


def setting(
    variables: str,
    parse: Callable[[str], T],
    default: T,
    help: str,
    *,
    public: bool = True,
    shown: str | None = None,
) -> T:
    """Declare a field of Settings. `shown` describes a default whose value explains little."""
    shown_plainly = plain(default)
    row = Setting(
        variables=tuple(variables.split()),
        parse=parse,
        default=shown or ("none" if shown_plainly in {None, ""} else f"`{shown_plainly}`"),
        public=public,
        help=help,
    )
    declared: T = field(default=default, metadata={"setting": row})
    return declared
