"""The server of each process: how it accepts connections, and how it shuts down."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Final

import uvicorn

from todo_adapters.http.endpoints.ops import LEAVING
from todo_adapters.http.live import LEAVE_STREAMS
from todo_app.server.connections import connect
from todo_app.server.handshakes import drop_new_handshakes
from todo_app.server.interrupts import deliver_interrupts, hangups_ignored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from todo_app.server.connections import ServerConfig
    from todo_app.server.transports import Socket

log = logging.getLogger("todo")

SHORTEST_SPREAD: Final = 2.0
"""The fewest seconds over which streams and waits end after SIGTERM, so that clients do not all reconnect at once."""

_LEAVING: Final = (signal.SIGTERM, signal.SIGHUP)
"""The signals on which the server leaves in order."""

_YOUNG: Final = (50_000, 20, 100)
"""The thresholds of the garbage collector. A request makes no reference cycles; with hundreds of requests in flight,
the default (700, 10, 10) takes a third of the CPU time."""


class Server(uvicorn.Server):
    """uvicorn's server, which shuts down in this order: readiness, new connections, idle ones, requests in flight.

    On SIGTERM, readiness turns to 503 and all other requests are served for `drain_seconds`, so that load balancers
    notice. Then the port closes, each response has `Connection: close`, and an idle connection is closed after one more
    second. A second SIGTERM has no effect, because a process manager and the supervisor may both send one. SIGHUP (a
    terminal that is closed) does the same, unless it was ignored at the start, as under nohup. SIGINT (Ctrl-C) waits
    for the requests in flight only; a second SIGINT cuts them off. A worker whose supervisor has ended shuts down as on
    SIGTERM; otherwise it would keep the port from the next start.
    """

    config: ServerConfig

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config)
        self._listeners: list[socket.socket] = []
        self._leave_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to shut down. Unlike uvicorn, do not raise SIGTERM again at the end: the exit status is 0."""
        if sig not in _LEAVING:
            self.config.linger = 0
            if self.should_exit:
                log.warning("stopping at once: the requests in flight are cut off")
                logging.disable()  # each of them, and the lifespan, would be logged as a failure with a stack trace
            if self.started:  # before, there are no streams, and no state to end them by
                self._end_streams(0)
            super().handle_exit(sig, frame)
        elif self._leave_at is None:
            self._leave_at = time.monotonic() + (self.config.drain_seconds if self.started else 0)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals while the server runs. Afterwards these two are ignored: the process has its own status."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        for number in _LEAVING:
            if not (number == signal.SIGHUP and hangups_ignored()):
                signal.signal(number, self.handle_exit)  # uvicorn restores it at the end: there is always a handler
        try:
            with super().capture_signals():
                deliver_interrupts()
                yield
        finally:
            for number in _LEAVING:
                signal.signal(number, signal.SIG_IGN)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and exempt all objects that exist by then from garbage collection."""
        await super().startup(sockets)
        self._listeners = sockets or []
        for listener in self._listeners:
            listener.settimeout(0)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_YOUNG)

    async def on_tick(self, counter: int) -> bool:
        """Every 100 ms: accept the pending connections; return whether to stop.

        uvloop accepts one connection in each iteration of its loop. Under load an iteration is long, so a new
        connection, such as a health probe, would wait for seconds.
        """
        await self._attach(self._accept_pending())
        if self._leave_at is None and _supervisor_has_ended():
            log.error("the supervisor of the workers has ended, so this worker ends: start todo serve again")
            self.handle_exit(signal.SIGTERM, None)
        if self._leave_at is not None:
            if LEAVING not in self.lifespan.state:
                self.lifespan.state[LEAVING] = True  # each later request gets a copy of this state
                self._end_streams(max(self.config.drain_seconds, SHORTEST_SPREAD))
                log.info("shutting down: readiness is 503; the port closes in %d s", self.config.drain_seconds)
            self.should_exit = self.should_exit or time.monotonic() >= self._leave_at
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections in the kernel's backlog, close the port, answer the requests in flight."""
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        if self.config.workers == 1:  # several processes share the listener, and those that stay serve it
            for listener in self._listeners:
                drop_new_handshakes(listener)
        taking = asyncio.create_task(self._attach(self._accept_pending(), leaving=True))
        await super().shutdown(sockets)
        await taking

    def _end_streams(self, within: float) -> None:
        leave = self.lifespan.state.get(LEAVE_STREAMS)
        if leave is not None:
            leave(within)

    def _accept_pending(self) -> list[socket.socket]:
        """Accept the connections in the kernel's backlog, which closing the listener would reset."""
        clients = []
        for listener in self._listeners:
            with contextlib.suppress(OSError):  # BlockingIOError: the backlog is empty
                while True:
                    clients.append(listener.accept()[0])
        return clients

    async def _attach(self, clients: list[socket.socket], *, leaving: bool = False) -> None:
        loop = asyncio.get_running_loop()
        for client in clients:
            client.settimeout(0)
        attached = await asyncio.gather(
            *[loop.connect_accepted_socket(self._connection, client) for client in clients],
            return_exceptions=True,  # some clients have disconnected
        )
        for result in attached:
            if leaving and not isinstance(result, BaseException):
                result[1].connection.shutdown()

    def _connection(self) -> Socket:
        return connect(self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _supervisor_has_ended() -> bool:
    """Return whether the process that started this one as a worker is gone; False in a process that is no worker."""
    supervisor = multiprocessing.parent_process()
    return supervisor is not None and os.getppid() != supervisor.pid
