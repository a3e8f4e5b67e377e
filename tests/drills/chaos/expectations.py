"""What one device did and was told: the truth that the service is held against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]


@dataclass
class Create:
    """One task that a device wanted, under a title that no other has; `key` is None where it was sent without one."""

    key: str | None
    body: Body
    unknown: bool = False  # whether some attempt may have happened
    task: Body | None = None  # the task of the first 201
    edited: bool = False  # whether anybody was to change it later
    deletion: bool | None = False  # None: may have happened


@dataclass
class Switch:
    """A task that only this device toggles."""

    title: str
    acknowledged: int = 0
    unknown: bool = False


@dataclass
class Expectations:
    """Everything that one device remembers of its writes."""

    user: str
    device: str
    creates: dict[str, Create] = field(default_factory=dict)
    revisions: list[int] = field(default_factory=list)  # of acknowledged changes, each once
    deletions: int = 0  # acknowledged ones, whose revisions nobody is told
    possible: int = 0  # changes that may have happened without a response

    notebook: str = ""  # the title of the task whose description this device overwrites with 1, 2, 3 …
    note: int = 0  # the last that was acknowledged
    notes_unknown: set[int] = field(default_factory=set)

    ledger: str = ""  # the title of the task in which every device of the user counts for itself
    counted: int = 0
    count_unknown: bool = False  # whether one more may be there

    switches: list[Switch] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
