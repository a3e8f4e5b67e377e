"""Subprocesses of the tests: started, awaited, and ended even when the test run itself is killed."""

import http
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from servers.scratch import Account

LOOPBACK = "127.0.0.1"
_POLL = 0.005
_DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")

# The kernel reports the death of the THREAD that started a process. This one lives as long as the interpreter, so that
# a server may be started from a thread that ends sooner.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


class Process(Protocol):
    """What this module uses of a `subprocess.Popen`."""

    pid: int
    returncode: Any  # of a Popen; an int once the process has ended

    def poll(self) -> int | None:
        """Return the exit status, or None of a process that runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status; subprocess.TimeoutExpired after so many seconds."""

    def send_signal(self, sig: signal.Signals, /) -> None:
        """Send a signal to the process; one that has ended is no error."""


def start(
    command: list[str], account: Account | None = None, death_signal: signal.Signals = signal.SIGKILL, **how: Any
) -> Process:
    """Start a program without any input, in a session of its own, which on Linux ends when this process does."""
    uid, gid = (str(account.uid), str(account.gid)) if account else ("-", "-")
    launcher = [sys.executable, "-I", "-S", str(_DIE_WITH_PARENT), str(os.getpid()), str(int(death_signal)), uid, gid]
    popen = partial(subprocess.Popen[bytes], stdin=subprocess.DEVNULL, start_new_session=True, **how)
    return _starter.submit(popen, [*launcher, *command]).result()


class ProcessEndedError(RuntimeError):
    """A process ended while it was awaited; the message holds the end of what it wrote to stderr."""


class ServerProcess:
    """A subprocess that runs from construction to `stop`, and on Linux not a moment longer than the test run.

    Its output is in `<name>.out` and `<name>.err` inside `logs`; a second process of the same name appends to them.
    It leads a session of its own, so Ctrl-C reaches pytest alone, whose fixtures then stop it in order.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        logs: Path,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        account: Account | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self._out, self._err = logs / f"{name}.out", logs / f"{name}.err"
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self._out_start, self._err_start = out.tell(), err.tell()
            how = {"stdout": out, "stderr": err, "env": env, "cwd": cwd}
            self._process = self._start([*map(str, command)], account, death_signal, how)

    def _start(
        self, command: list[str], account: Account | None, death_signal: signal.Signals, how: dict[str, Any]
    ) -> Process:
        return start(command, account, death_signal, **how)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id, which the executed program keeps."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def stdout(self) -> str:
        """What this process has written to its standard output so far."""
        return _text_from(self._out, self._out_start)

    @property
    def stderr(self) -> str:
        """What this process has written to its standard error so far."""
        return _text_from(self._err, self._err_start)

    def wait_until(self, ready: Callable[[], bool], *, seconds: float = 60) -> None:
        """Return once `ready()` holds; raise ProcessEndedError if the process ends first, TimeoutError if time does."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                status = self._process.returncode
                raise ProcessEndedError(f"{self.name} ended with status {status}:\n{self.stderr[-2000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} was not ready within {seconds} s:\n{self.stderr[-2000:]}")
            time.sleep(_POLL)

    def wait_for_port(self, port: int, *, seconds: float = 60) -> None:
        """Return once something accepts connections on this port of the loopback address."""
        self.wait_until(lambda: accepts(port), seconds=seconds)

    def wait_for_http(self, url: str, *, seconds: float = 60) -> None:
        """Return once a GET of this http:// URL answers 200."""
        self.wait_until(lambda: answers_200(url), seconds=seconds)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone; one that has ended is no error."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 10) -> int:
        """Ask the process to end, kill its whole group if it has not within the bound, and return its exit status."""
        self.send_signal(number)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Kill the process and its group at once, and return its exit status."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
        return self._process.wait()


def reserve_port() -> tuple[int, socket.socket]:
    """Return a free port of the loopback address, and a socket that keeps it for one server of ours until it is closed.

    The kernel then gives the port to nobody else, not even while that server is down. On Linux a server that sets
    SO_REUSEADDR, as all of ours do, can listen beside the socket because the socket never listens. Elsewhere the two
    would clash, so there the socket comes closed and the port was merely free a moment ago.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((LOOPBACK, 0))
    port = int(holder.getsockname()[1])
    if sys.platform != "linux":
        holder.close()
    return port, holder


def free_port() -> int:
    """Return a port of the loopback address that was free a moment ago, and may be another's a moment later."""
    port, holder = reserve_port()
    holder.close()
    return port


def accepts(port: int, host: str = LOOPBACK) -> bool:
    """Whether something accepts a connection there right now.

    The kernel accepts at once, or refuses; a port that is about to close drops the attempt, which is no reason to wait.
    """
    try:
        socket.create_connection((host, port), timeout=0.2).close()
    except OSError:
        return False
    return True


def answers_200(url: str) -> bool:
    """Whether a GET of this http:// URL answers 200 right now, without the proxy that the environment names."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=1)
    try:
        connection.request("GET", f"{address.path or '/'}?{address.query}")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _text_from(path: Path, start: int) -> str:
    with path.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")
