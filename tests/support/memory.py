"""The memory of a running process, on Linux."""

import re
from pathlib import Path


def most_memory(pid):
    """The most memory that a process has had so far, in MiB; 0 once it has ended.

    `getrusage` would also count what the parent had when it started the process.
    """
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) / 1024 if found else 0
