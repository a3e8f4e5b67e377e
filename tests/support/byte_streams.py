"""A client for raw byte streams, and measurements of the server: its memory, the latency of other clients."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

HEALTH = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
MIB = 1 << 20

_PACKET = 1 << 16
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)


class Reply(NamedTuple):
    """One response on a raw connection: its status, its head and body as bytes."""

    status: int
    head: bytes
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends."""
        return bool(_CLOSE.search(self.head))


class RawConnection:
    """A client's end of one TCP connection, for bytes that no HTTP client would send."""

    def __init__(self, port: int, *, seconds: float = 20) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> bool:
        """Send all of it; return False if the server has closed the connection."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def send_endlessly(self, again: bytes, size: int, *, seconds: float = 10) -> int:
        """Send `again` repeatedly, reading nothing, until the server closes the connection, stops reading, or has read
        `size` bytes.

        Return how many bytes it read.
        """
        block = again * max(1, _PACKET // len(again))
        sent, until = 0, time.monotonic() + seconds
        self._socket.setblocking(False)
        try:
            view = memoryview(block)
            while sent < size and time.monotonic() < until:
                if not select.select([], [self._socket], [], 1)[1]:
                    break  # the server has stopped reading
                with contextlib.suppress(BlockingIOError):
                    sent += self._socket.send(view[sent % len(block) :])
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            self._socket.settimeout(20)
        return sent

    def reply(self, *, headless: bool = False) -> Reply | None:
        """Return the next response, None if the server has closed the connection instead. One to HEAD is `headless`."""
        try:
            while (end := self._received.find(b"\r\n\r\n")) < 0:
                if not self._more():
                    return None
            head = self._received[: end + 4]
            found = _LENGTH.search(head)
            length = int(found[1]) if found and not headless and head[9:12] not in {b"204", b"304"} else 0
            while len(self._received) < len(head) + length:
                if not self._more():
                    return None
        except ConnectionResetError:
            return None
        body = self._received[len(head) : len(head) + length]
        self._received = self._received[len(head) + length :]
        return Reply(int(head[9:12]), head, body)

    def _more(self) -> bool:
        piece = self._socket.recv(_PACKET)
        self._received += piece
        return bool(piece)


def resident(pid: int) -> int:
    """Return how much memory a process has in use, in bytes (Linux)."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


class Cost(NamedTuple):
    """The cost of the server under test during an action."""

    memory: int
    """Bytes that its resident memory rose by, at most."""
    p50: float
    """Seconds that another client waited for `/health/live` in half of all cases at most."""
    worst: float
    """The longest wait in seconds."""
    requests: int
    """The number of its requests."""


@contextmanager
def costing(port: int, pid: int) -> Iterator[list[Cost]]:
    """Watch the server from another client's side; the list holds the cost afterwards."""
    before = resident(pid)
    most, took, done = before, [], threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            with RawConnection(port) as other:
                while not done.is_set():
                    begun = time.perf_counter()
                    other.send(HEALTH)
                    if other.reply() is None:
                        break
                    took.append(time.perf_counter() - begun)
                    most = max(most, resident(pid))
                    done.wait(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    costs: list[Cost] = []
    try:
        yield costs
    finally:
        while not took and watcher.is_alive():
            time.sleep(0.005)  # between two looks at whether the others were served at all
        done.set()
        watcher.join()
        costs.append(Cost(max(most, resident(pid)) - before, statistics.median(took), max(took), len(took)))
