"""A server that answers, or fails to, as a test says, and keeps what it was sent: what stands behind a proxy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Self

from servers.processes import LOOPBACK

Behaviour = Callable[[bytes], bytes | None]
"""Returns what is sent for a request, None to close the connection without a byte."""

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Upstream:
    """Takes requests with a Content-Length, one on each connection. `received` has each as it came."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.received: list[bytes] = []
        self._behaviour = behaviour
        self._listener = socket.create_server((LOOPBACK, 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(10)
                if request := message(client):
                    self.received.append(request)
                    if (response := self._behaviour(request)) is not None:
                        client.sendall(response)


def message(sender: socket.socket) -> bytes:
    """Return the next request or response with its body of a Content-Length; nothing at the end of the connection."""
    text = b""
    while b"\r\n\r\n" not in text:
        if not (piece := sender.recv(65_536)):
            return b""
        text += piece
    head = text.partition(b"\r\n\r\n")[0].lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    while len(text) < len(head) + 4 + length:
        text += sender.recv(65_536)
    return text
