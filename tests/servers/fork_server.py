"""Start `todo` by a fork of this process, which has imported it: `python fork_server.py SOCKET`.

A request is one message: the JSON of a command, its environment and its directory, with three descriptors: stdout,
stderr, and where first the process id and later the exit status are reported. Once the socket is closed, this process
ends, and on Linux every fork with it.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import NamedTuple

NUMBER = struct.Struct("q")
_PR_SET_PDEATHSIG = 1
_IMPORTED = (
    "todo_app.cli",
    "todo_app.server.server",
    "todo_adapters.sql.migrations",
    "todo_adapters.sql.postgres.store",
    "todo_adapters.sql.sqlite.store",
    "todo_adapters.sql.sqlite.commands.migration",
    "alembic.command",
    "alembic.context",
    "anyio._backends._asyncio",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
"""What `todo serve` imports sooner or later."""
_TRIAL = {"TODO_DATABASE_URL": "memory:", "TODO_JWT_SECRET": "0123456789abcdef" * 2}


class _Unheard:
    """An audit log without a thread, of which a fork would be no good copy."""

    def record(self, event: str, **details: object) -> None:
        """Forget it."""


class Job(NamedTuple):
    """What a fork has to do."""

    command: list[str]
    environment: dict[str, str]
    directory: str


def main(requests: socket.socket) -> None:
    """Fork for each request; in a fork, do its job and end as the command would."""
    job = _next_job(requests)
    if job is not None:
        os.environ.clear()
        os.environ.update(job.environment)
        os.chdir(job.directory)
        sys.argv[:] = job.command
        sys.path[0] = str(Path(job.command[0]).parent)
        runpy.run_path(job.command[0], run_name="__main__")


def _next_job(requests: socket.socket) -> Job | None:
    """Return the job in each fork, and None in this process once nobody asks for more."""
    for module in _IMPORTED:
        importlib.import_module(module)
    compose, settings = (importlib.import_module(f"todo_app.{name}") for name in ("compose", "settings"))
    compose.application(settings.read_settings(environment=_TRIAL), audit=_Unheard())  # imports what each would import
    gc.freeze()  # what is there now is collected in no fork
    ended, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    ours, reports = os.getpid(), dict[int, int]()
    while True:
        ready, _, _ = select.select([requests, ended], [], [])
        if ended in ready:
            ended.recv(4_096)
            _report_ended(reports)
        if requests in ready:
            message, (*descriptors,), _, _ = socket.recv_fds(requests, 1 << 20, 3)
            if not message:
                return None
            out, err, report = descriptors
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a test run under nohup ignores it
                os.dup2(out, 1)
                os.dup2(err, 2)
                for descriptor in (*descriptors, *reports.values()):
                    os.close(descriptor)
                for one in (requests, ended, wake):
                    one.close()
                _die_with(ours)
                return Job(*json.loads(message))
            os.write(report, NUMBER.pack(child))
            os.close(out)
            os.close(err)
            reports[child] = report


def _report_ended(reports: dict[int, int]) -> None:
    while reports:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        report = reports.pop(child)
        os.write(report, NUMBER.pack(os.waitstatus_to_exitcode(status)))
        os.close(report)


def _die_with(parent: int) -> None:
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
