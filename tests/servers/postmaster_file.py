"""What a running PostgreSQL, or one that was killed, says of itself in the `postmaster.pid` of its data directory.

The lines are: process id, data directory, start time, port, socket directory, listen address, shared memory, status.
"""

import ctypes
from pathlib import Path

_PID_LINE, _MEMORY_LINE, _STATUS_LINE = 0, 6, 7
_IPC_RMID = 0


def says_ready(data: Path, postmaster: int) -> bool:
    """Whether this postmaster accepts connections; pg_ctl waits for the same sign.

    Trying to connect instead would litter the server's log with refused logins.
    """
    lines = _lines(data)
    # After a crash the file is at first still that of the dead postmaster.
    return len(lines) > _STATUS_LINE and lines[_PID_LINE] == str(postmaster) and lines[_STATUS_LINE].strip() == "ready"


def release_memory(data: Path) -> None:
    """Free the System V segment that a killed postmaster leaves in the kernel, if it left one.

    It is only 56 bytes, but the kernel has room for 4096 segments and keeps them until it reboots. A server that is
    started again on the same data does this itself.
    """
    lines = _lines(data)
    if len(lines) > _MEMORY_LINE and (key_and_id := lines[_MEMORY_LINE].split()):
        ctypes.CDLL(None).shmctl(int(key_and_id[1]), _IPC_RMID, None)


def _lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:  # not started yet, or stopped in order
        return []
