"""Security events as JSON lines."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Condition, Thread
from typing import Final, NamedTuple

from todo_domain.instants import text_of_instant

LINES_APIECE: Final = 20
"""The most lines for one event, reason and peer in a window. Further events are counted in one line at its end."""

WINDOW: Final = 60.0
"""Seconds of a window."""

MOST_TRACKED: Final = 1024
"""The most combinations of event, reason and peer in a window; further peers are counted together without a name."""

MOST_WAITING: Final = 4096
"""The most lines that wait to be written. An event beyond them is only counted."""

LONGEST_DETAIL: Final = 512
"""The most characters of one detail; the rest is cut off."""

TIMEOUT: Final = 5.0
"""The most seconds that closing waits for the last line."""

_RETRY: Final = 1.0
_MODE: Final = 0o600
_STDERR: Final = 2
_LIFE: Final = {"start", "migration_applied", "stop"}

_log = logging.getLogger("todo.audit")

_Detail = str | int | None


class _Event(NamedTuple):
    time: datetime
    name: str
    details: dict[str, _Detail]

    def line(self) -> bytes:
        """Return one line of ASCII; other characters and control characters are escaped (RFC 8259, section 7)."""
        given = {name: value for name, value in self.details.items() if value is not None}
        return json.dumps({"time": text_of_instant(self.time), "event": self.name, **given}).encode("ascii") + b"\n"

    def readable(self) -> bytes:
        """Return one line of ASCII in words, for a terminal."""
        given = [f"{name}={_plain(value)}" for name, value in self.details.items() if value is not None]
        return " ".join(["AUDIT  ", self.name, *given]).encode("ascii") + b"\n"


class _Kind(NamedTuple):
    event: str
    reason: _Detail
    peer: _Detail


class _Tally:
    """The lines of a kind in a window, the events without a line, and the time of the first of these."""

    __slots__ = ("count", "dropped", "lines", "since")

    def __init__(self) -> None:
        self.lines = self.count = self.dropped = 0
        self.since: datetime | None = None


class AuditLines:
    """The port AuditLog: one JSON object a line, on standard error or appended to a file.

    A line has `time` (RFC 3339, UTC) and `event`, then the details. A line with `count` stands for that many events
    since `since` that have no line of their own: they came from a `peer` that had caused LINES_APIECE lines already,
    or, for `dropped` of them, MOST_WAITING lines were waiting. So the number of events is the sum of `count` over their
    lines, where a line without `count` counts as one.

    A thread writes, so `record` does not wait for the disk. A failed write is tried again each second. If the file was
    moved away, as by log rotation, a new one is created, which only its owner may read. Several processes may append to
    one file. `readable` lines are for a terminal: in words instead of JSON, and without the service's own start,
    migration and stop, which the person at the terminal has caused. The constructor raises OSError for a file that
    cannot be written; no other method raises.
    """

    def __init__(self, target: str, *, readable: bool = False, window: float = WINDOW) -> None:
        self._path = None if target == "stderr" else target
        self._file = _STDERR if self._path is None else _opened(self._path)
        self._window = window
        self._readable = readable
        self._news = Condition()
        self._waiting: list[_Event] = []
        self._tallies: dict[_Kind, _Tally] = {}
        self._window_ends: float | None = None
        self._closing = False
        self._failing = False
        self._lost = 0
        self._writer = Thread(target=self._run, name="audit", daemon=True)
        self._writer.start()

    def record(self, event: str, **details: str | int | None) -> None:
        """Record an event; details are cut to LONGEST_DETAIL characters. After `close`, do nothing."""
        kind = _Kind(event, _bounded(details.get("reason")), _bounded(details.get("peer")))
        strange = "peer" in details  # only events caused by a client can flood
        with self._news:
            if self._closing:
                return
            tally = self._tally(kind)
            fits = len(self._waiting) < MOST_WAITING
            if fits and not (strange and tally.lines >= LINES_APIECE):
                tally.lines += 1
                given = {name: _bounded(value) for name, value in details.items()}
                self._waiting.append(_Event(datetime.now(UTC), event, given))
                self._news.notify()
                return
            tally.since = tally.since or datetime.now(UTC)
            tally.count += 1
            tally.dropped += not fits

    def close(self) -> None:
        """Write the recorded events and stop; give up after TIMEOUT seconds. A second call does nothing."""
        with self._news:
            self._closing = True
            self._news.notify()
        self._writer.join(TIMEOUT)
        if self._writer.is_alive():
            _log.error("the last audit lines are lost: writing them took too long")

    async def aclose(self) -> None:
        """Close without blocking the event loop."""
        await asyncio.to_thread(self.close)

    def _tally(self, kind: _Kind) -> _Tally:
        if self._window_ends is None:
            self._window_ends = time.monotonic() + self._window
        if kind not in self._tallies and len(self._tallies) >= MOST_TRACKED:
            kind = kind._replace(peer=None)
        return self._tallies.setdefault(kind, _Tally())

    def _run(self) -> None:
        closing = False
        while not closing:
            events, tallies, closing = self._take()
            for event in (*events, *_counted(tallies)):
                if not self._readable:
                    self._write(event.line())
                elif event.name not in _LIFE:
                    self._write(event.readable())
        if self._lost:
            _log.error("%d audit lines are lost: they could not be written", self._lost)
        if self._path is not None:
            os.close(self._file)

    def _take(self) -> tuple[list[_Event], dict[_Kind, _Tally], bool]:
        """Wait for lines, the window's end or closing; return the events and tallies to write, and whether to stop."""
        with self._news:
            left = None if self._window_ends is None else self._window_ends - time.monotonic()
            self._news.wait_for(lambda: self._waiting or self._closing, left)
            events, self._waiting = self._waiting, []
            tallies: dict[_Kind, _Tally] = {}
            if self._closing or (self._window_ends is not None and time.monotonic() >= self._window_ends):
                tallies, self._tallies, self._window_ends = self._tallies, {}, None
            return events, tallies, self._closing

    def _write(self, line: bytes) -> None:
        # One line for each write: so short a write is not mixed with another process's, not even in a pipe.
        while line:
            try:
                self._reopen_if_moved()
                line = line[os.write(self._file, line) :]
                self._failing = False
            except OSError as problem:
                if not self._failing:
                    _log.error("the audit log cannot be written for now: %s", problem.strerror)
                self._failing = True
                with self._news:
                    if self._news.wait_for(lambda: self._closing, _RETRY):
                        self._lost += 1
                        return

    def _reopen_if_moved(self) -> None:
        if self._path is None:
            return
        try:
            moved = not os.path.samestat(os.stat(self._path), os.fstat(self._file))  # noqa: PTH116  like fstat beside it
        except FileNotFoundError:
            moved = True
        if moved:
            opened = _opened(self._path)
            os.close(self._file)
            self._file = opened


def _opened(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)


def _counted(tallies: dict[_Kind, _Tally]) -> Iterator[_Event]:
    now = datetime.now(UTC)
    for kind, tally in tallies.items():
        if tally.since is not None:
            counts = {"count": tally.count, "dropped": tally.dropped or None, "since": text_of_instant(tally.since)}
            yield _Event(now, kind.event, {"reason": kind.reason, "peer": kind.peer, **counts})


def _bounded(value: object) -> _Detail:
    if value is None or (isinstance(value, int) and value.bit_length() < 64):
        return value
    text = hex(value) if isinstance(value, int) else str(value)
    return text if len(text) <= LONGEST_DETAIL else text[:LONGEST_DETAIL] + "…"


def _plain(value: _Detail) -> str:
    text = str(value)
    return text if re.fullmatch(r"[\x21-\x7e]+", text) else json.dumps(text)
