"""A provider's key set over HTTP on the loopback address, as honest, slow or broken as a test wants it.

async with JwksServer({"keys": [...]}) as server:
    keys = JwksKeys(KeyUrl(server.url, Fetcher()))
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"


class JwksServer:
    """Answers a request with what `documents` has for its path, else with `document`: bytes as they are, anything else
    as JSON. It belongs to one event loop.

    All attributes may be changed at any time: `status`, `headers`, `delay` (seconds before the response), `drip`
    (seconds before each byte of the body), `endless` (the document again and again, in chunks). `hits` counts
    requests, `paths` has theirs, `arrived` is set by the first, and `sent` counts the bytes of bodies. `stop` makes it
    refuse connections, and `start` brings it back on the same port.
    """

    def __init__(self, document: object = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.document = document
        self.documents: dict[str, object] = {}
        self.paths: list[str] = []
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.delay = 0.0
        self.drip = 0.0
        self.endless = False
        self.arrived = asyncio.Event()
        self.hits = 0
        self.sent = 0
        self._tls = tls
        self._port = 0
        self._server: asyncio.Server | None = None
        self._responding: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def origin(self) -> str:
        """Where it answers."""
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self._port}"

    @property
    def url(self) -> str:
        """Where the key set is."""
        return f"{self.origin}/jwks"

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, LOOPBACK, self._port, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and break those there are."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        for responding in tuple(self._responding):
            responding.cancel()
        await asyncio.gather(*self._responding, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        responding = asyncio.create_task(self._answer(reader, writer))
        self._responding.add(responding)
        responding.add_done_callback(self._responding.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ")[1].decode("latin-1")
                self.paths.append(path)
                self.hits += 1
                self.arrived.set()
                await asyncio.sleep(self.delay)
                await self._reply(writer, self.documents.get(path, self.document))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _reply(self, writer: asyncio.StreamWriter, document: object) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        length = {"Transfer-Encoding": "chunked"} if self.endless else {"Content-Length": str(len(body))}
        headers = {"Content-Type": "application/json", "Connection": "close", **length, **self.headers}
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        while self.endless:
            writer.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
            await writer.drain()
            self.sent += len(body)
        for piece in [body[place : place + 1] for place in range(len(body))] if self.drip else [body]:
            await asyncio.sleep(self.drip)
            writer.write(piece)
            await writer.drain()
            self.sent += len(piece)
