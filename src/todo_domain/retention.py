"""Retention of keys, tombstones and the trash: how long they are kept, and when expired ones are removed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.trash import MOST_TRASHED, trash_since

KEYS_KEPT: Final = timedelta(days=7)
"""How long an Idempotency-Key is remembered; then it counts as absent, even before it is removed."""

MOST_KEPT: Final = 100_000
"""The most keys and the most tombstones of one user; beyond them, the oldest are removed early."""

PURGE_EVERY: Final = 64
"""A write that takes the counter to a multiple of this number, or across one, also purges."""

PURGE_AT_MOST: Final = 256
"""The most keys, tombstones and trashed tasks, each, that a purge removes: more than PURGE_EVERY writes can add."""


class Retention(NamedTuple):
    """The rule of a purge of one user.

    Of the `at_most` oldest keys, it removes those of `keys_since` or before, and those with `kept` or more newer ones.
    It does the same with tombstones (`tombstones_since`, `kept`) and with the trash (`trash_since`, `trashed`). With a
    tombstone, its task leaves the trash. Age is by revision. The horizon rises to the highest revision of a removed
    tombstone.
    """

    keys_since: datetime
    tombstones_since: datetime
    trash_since: datetime
    kept: int
    trashed: int
    at_most: int


def retention(now: datetime, trash_kept: timedelta) -> Retention:
    """Return the rule of a purge at this time."""
    return Retention(
        now - KEYS_KEPT, now - TOMBSTONES_KEPT, trash_since(now, trash_kept), MOST_KEPT, MOST_TRASHED, PURGE_AT_MOST
    )


def purge_is_due(revision: int, writes: int = 1) -> bool:
    """Return whether the last `writes` writes, which took the counter to `revision`, call for a purge."""
    return revision // PURGE_EVERY > (revision - writes) // PURGE_EVERY
