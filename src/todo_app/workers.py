"""Several worker processes, and the directory in which they leave their numbers for each other."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess

if TYPE_CHECKING:
    import socket

    import uvicorn


def run_workers(config: uvicorn.Config, listener: socket.socket) -> None:
    """Run the workers until told to stop. Whichever of them is asked for `/metrics` answers for all."""
    with TemporaryDirectory(prefix="todo-metrics-") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # the workers' prometheus_client reads it
        _Workers(config, [listener], directory).run()


class _Workers(Multiprocess):
    """uvicorn's supervisor, which moreover forgets what a worker that ended had in flight; what it counted stays."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], directory: str) -> None:
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
