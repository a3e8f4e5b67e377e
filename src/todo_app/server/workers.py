"""Several worker processes, and the directory through which they share their metrics."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from multiprocessing import resource_tracker
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess, multiprocess

from todo_app.server.interrupts import deliver_interrupts, hangups_ignored, held
from todo_app.server.server import Server

if TYPE_CHECKING:
    import socket

    from todo_app.server.connections import ServerConfig

STARTS_WITHIN: Final = 60.0
"""Seconds until a new worker has to reply to the supervisor for the first time."""


def run_workers(config: ServerConfig, listener: socket.socket) -> None:
    """Run the workers until a signal stops them. `/metrics` of any worker has the sums of all."""
    multiprocess.Process = _Worker  # type: ignore[misc]  # uvicorn's supervisor has no other hook for it
    with TemporaryDirectory(prefix="todo-metrics-") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # the workers' prometheus_client reads it
        _Workers(config, [listener], directory).run()


class _Worker(multiprocess.Process):
    """uvicorn's worker, which serves and shuts down like a single process.

    uvicorn ends a worker that does not reply to the supervisor within 5 s. A new worker first imports the application,
    which takes longer on a busy machine: it would be ended and started again for as long as the machine is busy.
    """

    config: ServerConfig

    def start(self) -> None:
        """Start the process, which handles Ctrl-C once its server runs, and not before."""
        with held(signal.SIGHUP):  # the tracker ends with the workers; a closed terminal would end it before them
            resource_tracker.ensure_running()  # Python starts it with the first process, and lets SIGINT through then
        with held(signal.SIGINT):
            super().start()
        self.child_conn.close()  # otherwise the supervisor waits for the reply of a worker that has ended
        self._reply_due: float | None = time.monotonic() + STARTS_WITHIN
        with suppress(OSError):  # it may have ended by now
            self.parent_conn.send(b"ping")

    def is_alive(self, timeout: float = 5) -> bool:
        """Return whether the worker runs and replies in time. Until its first reply, nothing waits for it."""
        if self._reply_due is None:
            return super().is_alive(timeout)
        if self.parent_conn.poll():  # the reply, or the end
            self._reply_due = None
            with suppress(EOFError, OSError):
                self.parent_conn.recv()
        elif time.monotonic() > self._reply_due:
            return False
        return self.process.is_alive()

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Run in the worker process: make its server, before two threads ask for it, and serve."""
        self._server = Server(self.config)
        super().target(sockets)


class _Workers(Multiprocess):
    """uvicorn's supervisor, which also removes the gauges of a worker that ended; its counters stay.

    On SIGHUP it stops, as on SIGTERM, or goes on if SIGHUP was ignored at the start. uvicorn's replaces the workers,
    which a closed terminal has ended by then, and serves on.
    """

    def __init__(self, config: ServerConfig, sockets: list[socket.socket], directory: str) -> None:
        ignored = hangups_ignored()
        super().__init__(config, sockets)
        if ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._directory = directory
        self._known: set[int] = set()
        deliver_interrupts()

    def handle_hup(self) -> None:
        """Stop, as on SIGTERM."""
        self.handle_term()

    def keep_subprocess_alive(self) -> None:
        """Replace a worker that ended, as uvicorn does twice a second."""
        super().keep_subprocess_alive()
        living = {process.pid for process in self.processes if process.pid is not None}
        for pid in self._known - living:
            mark_process_dead(pid, self._directory)  # type: ignore[no-untyped-call]  # not typed yet
        self._known = living

    def terminate_all(self) -> None:
        """Signal the workers to stop, and close the port here, so that it is closed once the last worker closes it."""
        super().terminate_all()
        for listener in self.sockets:
            listener.close()
