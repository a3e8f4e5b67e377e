"""The processor time of processes, from Linux's /proc; other systems report none."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")

Used = dict[str, int]
"""Nanoseconds by thread."""


class Machine(NamedTuple):
    """Seconds: how long processors were busy, how long they were there, and what this process used of it."""

    busy: float
    there: float
    own: float


def used(pids: Iterable[int]) -> Used:
    """Return the time that each thread of these processes has used so far."""
    used: Used = {}
    for pid in pids:
        for thread in _PROC.glob(f"{pid}/task/*/schedstat"):
            try:
                used[str(thread.parent)] = int(thread.read_text().split()[0])
            except OSError:  # the process has ended meanwhile
                continue
    return used


def microseconds(before: Used, after: Used) -> float | None:
    """Return the time used in between, None if the system does not report it.

    A thread that ended in between is left out; the servers measured here keep theirs for longer than a run.
    """
    if not after:
        return None
    return sum(spent - before.get(thread, 0) for thread, spent in after.items()) / 1000


def machine() -> Machine | None:
    """Return the time of all processes, and of this one with its ended children; None if the system does not report
    it."""
    try:
        ticks = list(map(int, (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]))
    except OSError:
        return None
    user, nice, system, idle, waiting, interrupts, soft, stolen, *_ = ticks
    hertz = os.sysconf("SC_CLK_TCK")
    busy = user + nice + system + interrupts + soft + stolen
    return Machine(busy / hertz, (busy + idle + waiting) / hertz, sum(os.times()[:4]))


def share_of_others(before: Machine | None, after: Machine | None, measured: float) -> float | None:
    """Return the part of the machine, from 0 to 1, that was used neither by us nor by the measured processes."""
    if before is None or after is None:
        return None
    busy, all_, own = (now - was for was, now in zip(before, after, strict=True))
    return max(0.0, busy - own - measured / 1e6) / all_


def resident(pid: int) -> float | None:
    """Return the resident memory of a process in MiB, None if the system does not report it."""
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), None)
