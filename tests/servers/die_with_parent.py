"""Run a program that ends with its owner: `python die_with_parent.py OWNER SIGNAL UID GID PROGRAM [ARGUMENT...]`.

A program of its own instead of a `preexec_fn`: Python code between fork and exec can deadlock once the owner has
threads, and Python 3.12 warns of it. It is run with `-I -S` and imports next to nothing, so it costs about 15 ms.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_KEEP = "-"  # stands for a user or group that stays as it is


def main(owner: str, death_signal: str, uid: str, gid: str, *command: str) -> None:
    """Give up root where a user is named, ask the kernel for a signal at the owner's death, and execute the command."""
    if uid != _KEEP:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        # Only now, because the kernel forgets the wish when a process changes its user.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != int(owner):
            sys.exit(f"process {owner} ended before {command[0]} could be tied to it")
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"cannot execute {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
