"""A TCP proxy that makes the loopback interface as slow, or as broken, as a real network.

It runs on an event loop in a thread of its own, so that it serves blocking and asynchronous tests alike and keeps its
time while a test blocks. Its methods may be called from any thread and have taken effect when they return.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from servers.processes import LOOPBACK, reserve_port

_CHUNK = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, for 0 s
_END = b""

# What is on its way in one direction: the time at which it is due, and the bytes.
_Wire = asyncio.Queue[tuple[float, bytes]]


class _Connection:
    """One client's connection through the proxy."""

    def __init__(self) -> None:
        self.round_trips = 0
        self.ended = asyncio.Event()
        """Set when the client has been sent the end, or the connection is over."""
        self._client_may_wait = False

    def client_sent(self) -> None:
        """Count a round trip, unless the client has got nothing since it began the one before."""
        if not self._client_may_wait:
            self.round_trips += 1
        self._client_may_wait = True

    def client_got(self) -> None:
        """The next that the client sends may be the response to this."""
        self._client_may_wait = False


class DelayProxy:
    """A proxy before a port of the loopback address or of `host`; a context manager: open on entry, closed on exit.

    Every chunk of bytes arrives half of `round_trip` seconds after it was sent, in order. Each has its own clock:
    chunks sent together arrive together, as over a long wire, and not one after the other.
    """

    def __init__(self, port: int, *, round_trip: float = 0.02, host: str = LOOPBACK) -> None:
        self.round_trip = round_trip
        self._target = (host, port)
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="delay proxy", daemon=True)
        self._connections: list[_Connection] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self.port, self._port_holder = reserve_port()

    def __enter__(self) -> Self:
        self._thread.start()
        self.restore()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._port_holder.close()

    @property
    def connections(self) -> int:
        """How many connections it has accepted."""
        return len(self._connections)

    @property
    def round_trips(self) -> int:
        """How often, over all connections, a client began to send after it had got something, or at first."""
        return sum(connection.round_trips for connection in self._connections)

    @contextmanager
    def passing_on_the_end(self, *, seconds: float = 10) -> Iterator[None]:
        """Return at the end once each connection that was open at the beginning has ended for its client.

        TimeoutError if one has not after so many seconds.
        """
        open_ = [connection for connection in self._connections if not connection.ended.is_set()]
        yield
        self._run(self._wait_for_ends(open_, seconds))

    def cut(self) -> None:
        """Break every open connection on both sides with a reset, and lose what was on the way."""
        self._run(self._cut())

    def freeze(self) -> None:
        """Accept connections and bytes, but deliver nothing, until `restore`."""
        self._run(self._freeze())

    def refuse(self) -> None:
        """Refuse new connections until `restore`; the open ones go on."""
        self._run(self._refuse())

    def restore(self) -> None:
        """Accept and deliver again: also what was held back by `freeze`."""
        self._run(self._restore())

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _wait_for_ends(self, connections: list[_Connection], seconds: float) -> None:
        async with asyncio.timeout(seconds):
            for connection in connections:
                await connection.ended.wait()
        await asyncio.sleep(0)  # transports that were closed close their sockets

    async def _cut(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _freeze(self) -> None:
        self._flowing.clear()

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _restore(self) -> None:
        self._flowing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, LOOPBACK, self.port, reuse_address=True)

    async def _close(self) -> None:
        await self._refuse()
        await self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the aborted transports close their sockets

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # by `_close`; Python 3.11 would write that to stderr
            await self._pass_on(reader, writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection()
        self._connections.append(connection)
        self._writers.add(writer)
        there: _Wire = asyncio.Queue()
        back: _Wire = asyncio.Queue()
        target: asyncio.StreamWriter | None = None
        try:
            await self._flowing.wait()
            target_reader, target = await asyncio.open_connection(*self._target)
            self._writers.add(target)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(reader, there, connection.client_sent))
                tasks.create_task(self._deliver(there, target, lambda: None, lambda: None))
                tasks.create_task(self._receive(target_reader, back, lambda: None))
                tasks.create_task(self._deliver(back, writer, connection.client_got, connection.ended.set))
        except* OSError:  # one side broke, or cannot be reached: the other is hung up on below
            pass
        finally:
            for side in filter(None, (writer, target)):
                self._writers.discard(side)
                side.close()
            connection.ended.set()

    async def _receive(self, reader: asyncio.StreamReader, wire: _Wire, received: Callable[[], None]) -> None:
        while chunk := await reader.read(_CHUNK):
            received()
            wire.put_nowait((self._loop.time() + self.round_trip / 2, chunk))
        wire.put_nowait((self._loop.time() + self.round_trip / 2, _END))

    async def _deliver(
        self, wire: _Wire, writer: asyncio.StreamWriter, delivered: Callable[[], None], ended: Callable[[], None]
    ) -> None:
        while True:
            due, chunk = await wire.get()
            await asyncio.sleep(due - self._loop.time())
            await self._flowing.wait()
            if chunk == _END:
                writer.write_eof()
                ended()
                return
            delivered()
            writer.write(chunk)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # already closed
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
