"""A proxy that tunnels (RFC 9110, section 9.3.6), as companies have one between their machines and the internet."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class ConnectProxy:
    """Tunnels to whatever CONNECT names, and keeps the names in `asked`; with `status` it refuses. One event loop."""

    def __init__(self, *, status: int = 200) -> None:
        self.status = status
        self.asked: list[str] = []
        self._tunnels: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for tunnel in tuple(self._tunnels):
            tunnel.cancel()
        await asyncio.gather(*self._tunnels, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """What HTTPS_PROXY is set to, with a password that belongs in no log."""
        return f"http://ann:hunter2@127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tunnel = asyncio.create_task(self._tunnel(reader, writer))
        self._tunnels.add(tunnel)
        tunnel.add_done_callback(self._tunnels.discard)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            try:
                method, target, _ = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)
                self.asked.append(f"{method.decode()} {target.decode()}")
                writer.write(f"HTTP/1.1 {self.status} Whatever\r\n\r\n".encode())
                if self.status != 200:
                    return
                host, _, port = target.decode().rpartition(":")
                away = await asyncio.open_connection(host, int(port))
                try:
                    await asyncio.gather(_pump(reader, away[1]), _pump(away[0], writer))
                finally:
                    away[1].close()
            finally:
                writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65_536):
        writer.write(part)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
