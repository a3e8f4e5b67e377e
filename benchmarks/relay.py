"""A wire to a server far away: whatever goes in at one end comes out at the other some time later.

python -m benchmarks.relay PORT TARGET_PORT MILLISECONDS

The milliseconds are for one way; a question and its answer take twice that. It runs in a process of its own, since it
would otherwise have to share an interpreter with what it delays.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque

import uvloop


class End(asyncio.Protocol):
    """One end of a connection; what it receives leaves at the other end, in order and late."""

    def __init__(self, delay: float) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: End | None = None
        self._delay = delay
        self._late: deque[tuple[float, bytes]] = deque()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream's

    def data_received(self, data: bytes) -> None:
        self._late.append((self._loop.time() + self._delay, data))
        if len(self._late) == 1:
            self._loop.call_at(self._late[0][0], self._deliver)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def _deliver(self) -> None:
        now = self._loop.time()
        while self._late and self._late[0][0] <= now:
            _, data = self._late.popleft()
            if self.other is not None and self.other.transport is not None:
                self.other.transport.write(data)
        if self._late:
            self._loop.call_at(self._late[0][0], self._deliver)


class Near(End):
    """The end that clients connect to; it makes the far one."""

    def __init__(self, target: int, delay: float) -> None:
        super().__init__(delay)
        self._target = target
        self._making: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._making = self._loop.create_task(self._reach())

    async def _reach(self) -> None:
        # What arrives before the far end is there waits no longer than on any other wire: it is late anyway.
        far = End(self._delay)
        far.other = self
        await self._loop.create_connection(lambda: far, "127.0.0.1", self._target)
        self.other = far


async def relay(port: int, target: int, delay: float) -> None:
    """Serve until told to stop."""
    server = await asyncio.get_running_loop().create_server(lambda: Near(target, delay), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
