"""Several worker processes, and the directory through which they share their metrics."""

from __future__ import annotations

import os
import signal
from multiprocessing import resource_tracker
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess, multiprocess

from todo_app.server.interrupts import deliver_interrupts, hangups_ignored, held
from todo_app.server.server import Server

if TYPE_CHECKING:
    import socket

    from todo_app.server.connections import ServerConfig


def run_workers(config: ServerConfig, listener: socket.socket) -> None:
    """Run the workers until a signal stops them. `/metrics` of any worker has the sums of all."""
    multiprocess.Process = _Worker  # type: ignore[misc]  # uvicorn's supervisor has no other hook for it
    with TemporaryDirectory(prefix="todo-metrics-") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # the workers' prometheus_client reads it
        _Workers(config, [listener], directory).run()


class _Worker(multiprocess.Process):
    """uvicorn's worker, which serves and shuts down like a single process."""

    config: ServerConfig

    def start(self) -> None:
        """Start the process, which handles Ctrl-C once its server runs, and not before."""
        with held(signal.SIGHUP):  # the tracker ends with the workers; a closed terminal would end it before them
            resource_tracker.ensure_running()  # Python starts it with the first process, and lets SIGINT through then
        with held(signal.SIGINT):
            super().start()

    @property
    def server(self) -> Server:
        """The server, made in the worker process."""
        if self._server is None:
            self._server = Server(self.config)
        return self._server  # type: ignore[return-value]  # set here only


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
