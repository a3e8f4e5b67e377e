"""An audit log for tests of what is recorded."""

from typing import Any


class RecordedEvents:
    """An audit log that keeps its events in memory."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def record(self, event: str, **details: Any) -> None:
        self.events.append({"event": event, **details})

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the events of this kind."""
        return [each for each in self.events if each["event"] == event]

    def last(self) -> dict[str, Any]:
        """Return the last event."""
        return self.events[-1]
