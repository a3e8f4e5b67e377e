"""Directories that vanish with the test run, and the account that servers which refuse root run under.

Each directory carries its owner's process id in its name. An owner removes its own; what a killed run left behind is
removed by the next run, together with any process that still works inside it. POSIX only, like the rest of the package.
"""

import contextlib
import functools
import os
import pwd
import shutil
import signal
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from servers.process_table import alive, wait_until_gone, working_in

_PREFIX = "todo-test-"


@dataclass(frozen=True)
class Account:
    """A user to run a server as."""

    uid: int
    gid: int

    def own(self, tree: Path) -> None:
        """Make this account the owner of a directory and all it holds."""
        for path in (tree, *tree.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


@functools.cache
def unprivileged() -> Account | None:
    """`nobody` where the tests run as root, whom PostgreSQL and PgBouncer refuse; elsewhere None: they run as we do."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def reachable(path: Path) -> bool:
    """Whether the account of `unprivileged` may pass every directory on the way to this path, and then execute it."""
    if unprivileged() is None:
        return os.access(path, os.X_OK)
    real = path.resolve()
    return all(step.stat().st_mode & stat.S_IXOTH for step in (real, *real.parents))


def create() -> Path:
    """Create a private directory in the system's temporary one, owned by the account of `unprivileged`."""
    sweep()
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_root()))
    if account := unprivileged():
        account.own(directory)
    return directory


def remove(directory: Path) -> None:
    """Remove such a directory; one that is already gone is no error."""
    shutil.rmtree(directory, ignore_errors=True)


@functools.cache
def sweep() -> None:
    """Remove, once per process, the directories of runs that were killed before they could do it themselves."""
    for leftover in _root().glob(f"{_PREFIX}*"):
        owner = leftover.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not alive(int(owner)):
            _end_processes_in(leftover)
            remove(leftover)


def _end_processes_in(directory: Path) -> None:
    # On Linux only a server that was frozen when its owner was killed is still here, and has yet to hear of that death.
    # Once awake it ends in order, and frees the memory that it shares in the kernel.
    for number in (signal.SIGCONT, signal.SIGKILL):
        pids = working_in(directory)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        with contextlib.suppress(TimeoutError):
            wait_until_gone(pids, seconds=5)


def _root() -> Path:
    root = Path(tempfile.gettempdir())
    return root if reachable(root) else Path("/tmp")  # a TMPDIR inside root's home is closed to nobody
