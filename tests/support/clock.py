"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta

MIDDAY = datetime(2025, 3, 30, 12, 0, 0, 123456, tzinfo=UTC)
"""Before the counters begin (`todo_domain.owner.COUNTERS_BEGIN`), so that the first write of a user is revision 1."""


class FakeClock:
    """A `Clock` that returns `now`, which a test may set, also backwards."""

    def __init__(self, now: datetime = MIDDAY) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> datetime:
        """Move on by what `timedelta` takes, `days=7` say, and return the new time."""
        self.now += timedelta(**by)
        return self.now
