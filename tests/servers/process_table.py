"""What the system knows of processes that are not our own children: from /proc on Linux, from `ps` elsewhere."""

import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

_ZOMBIE = "Z"


class _Entry(NamedTuple):
    pid: int
    parent: int
    state: str


def alive(pid: int) -> bool:
    """Whether a process runs, or is stopped; a zombie does not: it has let go of all it held."""
    return any(entry.pid == pid for entry in _living())


def children(pid: int) -> list[int]:
    """Return the process ids of the living children of a process."""
    return [entry.pid for entry in _living() if entry.parent == pid]


def wait_until_gone(pids: Collection[int], *, seconds: float = 10) -> None:
    """Return once none of these processes lives; raise TimeoutError if one outlives the bound."""
    deadline = time.monotonic() + seconds
    while left := {entry.pid for entry in _living()}.intersection(pids):
        if time.monotonic() > deadline:
            raise TimeoutError(f"still alive after {seconds} s: {sorted(left)}")
        time.sleep(0.01)


def working_in(directory: Path) -> list[int]:
    """Return the processes whose working directory is this one or below it; none where there is no /proc to ask."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(directory):
                found.append(int(process.name))
        except OSError:  # it has ended meanwhile, or is another user's
            continue
    return found


def _living() -> list[_Entry]:
    entries = _from_proc() if sys.platform == "linux" else _from_ps()
    return [entry for entry in entries if not entry.state.startswith(_ZOMBIE)]


def _from_proc() -> list[_Entry]:
    entries = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "stat").read_text()
        except OSError:  # it has ended meanwhile
            continue
        # "12 (name) S 7 …", and the name may itself hold blanks and brackets
        state, parent = line.rpartition(")")[2].split(maxsplit=2)[:2]
        entries.append(_Entry(int(process.name), int(parent), state))
    return entries


def _from_ps() -> list[_Entry]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], check=True, capture_output=True, text=True)
    rows = (line.split() for line in listing.stdout.splitlines())
    return [_Entry(int(pid), int(parent), state) for pid, parent, state in rows]
