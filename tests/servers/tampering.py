"""A proxy that tampers with what passes: a thread for each connection does what the subclass says."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

from servers.processes import LOOPBACK


class TamperingProxy:
    """Accepts connections on a port of its own, and has `serve` pass each on to the `target`, a port on loopback."""

    def __init__(self, target: int) -> None:
        self.target = (LOOPBACK, target)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def serve(self, client: socket.socket) -> None:
        """Pass a connection on, until one side closes it."""
        raise NotImplementedError

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()
