"""How long keys, tombstones and the trash are kept, and when what has expired is removed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.trash import MOST_TRASHED, trash_since

KEYS_KEPT: Final = timedelta(days=7)
"""How long an Idempotency-Key is remembered; from then on it counts as absent whether or not it is still there."""

MOST_KEPT: Final = 100_000
"""How many keys, and how many tombstones, of one user are kept; of more, the oldest go before their time."""

PURGE_EVERY: Final = 64
"""A write that takes the counter to a multiple of this number, or across one, also purges."""

PURGE_AT_MOST: Final = 256
"""How many keys, tombstones and trashed tasks each a purge removes: more than so many writes can add."""


class Retention(NamedTuple):
    """What a purge of one user removes: of the oldest `at_most`, those of `since` or before, and those beyond `kept`.

    Of the trash, those beyond `trashed` and those whose tombstone goes. Age is by revision. The horizon rises to the
    highest revision of a removed tombstone.
    """

    keys_since: datetime
    tombstones_since: datetime
    trash_since: datetime
    kept: int
    trashed: int
    at_most: int


def retention(now: datetime, trash_kept: timedelta) -> Retention:
    """Return what a purge at this time removes, of the keys, of the tombstones and of the trash each."""
    return Retention(
        now - KEYS_KEPT, now - TOMBSTONES_KEPT, trash_since(now, trash_kept), MOST_KEPT, MOST_TRASHED, PURGE_AT_MOST
    )


def purge_is_due(revision: int, writes: int = 1) -> bool:
    """Return whether the last `writes` writes, which took the counter to `revision`, call for a purge."""
    return revision // PURGE_EVERY > (revision - writes) // PURGE_EVERY
