"""`todo` started by a fork of a process that has imported it, in a fifth of the processor time; else it is the same.

What `todo serve` spends until it is ready, nearly a second, is mostly imports.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers.processes import ServerProcess, start

if TYPE_CHECKING:
    from collections.abc import Mapping

    from servers.scratch import Account

_FORK_SERVER = Path(__file__).with_name("fork_server.py")
_NUMBER = struct.Struct("q")
_lock = threading.Lock()


def read_by_python(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Python reads as it starts: a fork has those of the fork server."""
    return {name: value for name, value in environment.items() if name.startswith("PYTHON")}


READ_BY_PYTHON = read_by_python({**os.environ, "PYTHONUNBUFFERED": "1"})
"""Those of the fork server."""


class ForkedProcess(ServerProcess):
    """A `ServerProcess` of the installed `todo`."""

    def _start(
        self, command: list[str], account: Account | None, death_signal: signal.Signals, how: dict[str, Any]
    ) -> Fork:
        assert (account, death_signal) == (None, signal.SIGKILL)
        reading, writing = os.pipe()
        request = json.dumps([command, dict(how["env"]), str(how["cwd"])]).encode()
        try:
            with _lock:
                socket.send_fds(_fork_server(), [request], [how["stdout"].fileno(), how["stderr"].fileno(), writing])
        finally:
            os.close(writing)
        return Fork(reading)


class Fork:
    """A `Process`, as the fork server reports on it. Methods: see `Process`."""

    def __init__(self, reports: int) -> None:
        self._reports = reports
        self._lock = threading.Lock()
        self.returncode: int | None = None
        weakref.finalize(self, os.close, reports)
        pid = self._next_report()
        if pid is None:
            raise RuntimeError("the fork server has ended")
        self.pid = pid

    def poll(self) -> int | None:
        """Return the exit status, or None of a process that runs."""
        with self._lock:
            if self.returncode is None and self._reported(0):
                status = self._next_report()  # None if the fork server has ended, and its forks with it
                self.returncode = -signal.SIGKILL if status is None else status
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status; subprocess.TimeoutExpired after so many seconds."""
        self._reported(timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("todo", timeout or 0)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process; one that has ended is no error."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _reported(self, seconds: float | None) -> bool:
        waiting = select.poll()  # select.select() knows no descriptor above 1,023
        waiting.register(self._reports, select.POLLIN)
        return bool(waiting.poll(None if seconds is None else seconds * 1_000))

    def _next_report(self) -> int | None:
        report = os.read(self._reports, _NUMBER.size)
        return int(_NUMBER.unpack(report)[0]) if report else None


@cache
def _fork_server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = start(
            [sys.executable, str(_FORK_SERVER), str(theirs.fileno())],
            env={**os.environ, **READ_BY_PYTHON},
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
