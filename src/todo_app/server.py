"""The server of the only process, and of each of several workers: whom it lets in, and how it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import time
from typing import TYPE_CHECKING, Final

import uvicorn

from todo_adapters.http.endpoints.ops import LEAVING
from todo_adapters.http.live import LEAVE_STREAMS
from todo_app.connections import connect

if TYPE_CHECKING:
    from types import FrameType

    from todo_app.connections import ServerConfig
    from todo_app.transports import Socket

log = logging.getLogger("todo")

SHORTEST_SPREAD: Final = 2.0
"""Seconds over which streams and waits end, where the drain window is shorter: their clients come back one by one."""

_YOUNG: Final = (50_000, 20, 100)
"""When Python looks for garbage in cycles, of which a request makes none: with hundreds of requests in hand the usual
(700, 10, 10) is a third of all work."""


class Server(uvicorn.Server):
    """uvicorn's server, which leaves in this order: readiness, the door, the connections, the requests in flight.

    On SIGTERM readiness turns to 503 and everything else goes on for `drain_seconds`, until whoever sends requests here
    has seen that. Then no new connection is taken, each answer says `Connection: close`, and a connection without a
    request is closed a second later. A second SIGTERM changes nothing, because a process manager and the supervisor may
    both send one. SIGINT, a person's Ctrl-C, waits for requests in flight only; the next one not even for those.
    """

    config: ServerConfig

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config)
        self._listeners: list[socket.socket] = []
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to leave. Unlike uvicorn's, SIGTERM is not raised once more at the end: the exit status is 0."""
        if sig != signal.SIGTERM:
            self.config.linger = 0
            if self.should_exit:
                log.warning("leaving at once: the requests in flight are cut off")
                logging.disable()  # each of them, and the lifespan, would be told as a failure with a stack
            if self.started:  # before, there are neither streams nor the state that knows of them
                self._leave_streams(0)
            super().handle_exit(sig, frame)
        elif self._leave_at is None:
            self._leave_at = time.monotonic() + (self.config.drain_seconds if self.started else 0)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and take all that is there by then for permanent."""
        await super().startup(sockets)
        self._listeners = sockets or []
        for listener in self._listeners:
            listener.settimeout(0)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_YOUNG)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second, let in who waits at the door, and tell whether to stop.

        uvloop lets one in each time it goes round. Busy with hundreds of others that takes it long, and a newcomer, who
        may be the probe of our health, would wait for seconds.
        """
        await self._take(self._waiting())
        if self._leave_at is not None:
            if LEAVING not in self.lifespan.state:
                self.lifespan.state[LEAVING] = True  # of which each request from now on has a copy
                self._leave_streams(max(self.config.drain_seconds, SHORTEST_SPREAD))
                log.info("leaving: not ready any more; the port closes in %d s", self.config.drain_seconds)
            self.should_exit = self.should_exit or time.monotonic() >= self._leave_at
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door behind those who are in it already, then serve what is left."""
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        taking = asyncio.create_task(self._take(self._waiting(), leaving=True))
        await super().shutdown(sockets)
        await taking

    def _leave_streams(self, within: float) -> None:
        leave = self.lifespan.state.get(LEAVE_STREAMS)
        if leave is not None:
            leave(within)

    def _waiting(self) -> list[socket.socket]:
        """Return those who the kernel has let in and nobody has met yet; closing the listener would reset them."""
        clients = []
        for listener in self._listeners:
            with contextlib.suppress(OSError):  # BlockingIOError: there are no more
                while True:
                    clients.append(listener.accept()[0])
        return clients

    async def _take(self, clients: list[socket.socket], *, leaving: bool = False) -> None:
        loop = asyncio.get_running_loop()
        for client in clients:
            client.settimeout(0)
        met = await asyncio.gather(
            *[loop.connect_accepted_socket(self._connection, client) for client in clients],
            return_exceptions=True,  # some have gone away again
        )
        for one in met:
            if leaving and not isinstance(one, BaseException):
                one[1].connection.shutdown()

    def _connection(self) -> Socket:
        return connect(self.config, server_state=self.server_state, app_state=self.lifespan.state)
