"""Several worker processes, and the directory in which they leave their numbers for each other."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess, multiprocess

from todo_app.server import Server

if TYPE_CHECKING:
    import socket

    from todo_app.connections import ServerConfig


def run_workers(config: ServerConfig, listener: socket.socket) -> None:
    """Run the workers until told to stop. Whichever of them is asked for `/metrics` answers for all."""
    multiprocess.Process = _Worker  # type: ignore[misc]  # uvicorn's supervisor has no other place to say which
    with TemporaryDirectory(prefix="todo-metrics-") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # the workers' prometheus_client reads it
        _Workers(config, [listener], directory).run()


class _Worker(multiprocess.Process):
    """uvicorn's worker, which serves and leaves as the only process would."""

    config: ServerConfig

    @property
    def server(self) -> Server:
        """The server, made where it runs."""
        if self._server is None:
            self._server = Server(self.config)
        return self._server  # type: ignore[return-value]  # nobody else sets it


class _Workers(Multiprocess):
    """uvicorn's supervisor, which moreover forgets what a worker that ended had in flight; what it counted stays."""

    def __init__(self, config: ServerConfig, sockets: list[socket.socket], directory: str) -> None:
        super().__init__(config, sockets)
        self._directory = directory
        self._known: set[int] = set()

    def keep_subprocess_alive(self) -> None:
        """Replace a worker that ended, as uvicorn does twice a second."""
        super().keep_subprocess_alive()
        living = {process.pid for process in self.processes if process.pid is not None}
        for pid in self._known - living:
            mark_process_dead(pid, self._directory)  # type: ignore[no-untyped-call]  # not typed yet
        self._known = living

    def terminate_all(self) -> None:
        """Tell the workers to leave. The port is closed once the last of them closes it, so not held open here."""
        super().terminate_all()
        for listener in self.sockets:
            listener.close()
