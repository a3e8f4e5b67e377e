"""HTTP clients that send exactly what a test says: in-process as uvicorn would hand it over, or through a socket."""

from __future__ import annotations

import asyncio
import gzip
import json as jsonlib
from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import unquote, urljoin

Headers = Iterable[tuple[str | bytes, str | bytes]]
Body = bytes | Sequence[bytes]

_UNSAID: Any = object()


class Response:
    """What came back. Header names are lower case; a header may come several times."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for given, value in self.headers if given == name.lower()]

    def header(self, name: str) -> str | None:
        """The value of a header that comes at most once."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def json(self) -> Any:
        """The body as JSON."""
        assert self.header("content-type") == "application/json", self
        return jsonlib.loads(gzip.decompress(self.body) if self.header("content-encoding") == "gzip" else self.body)


class Client(Protocol):
    """Somewhere to send requests."""

    async def request(
        self,
        method: str,
        target: str | bytes,
        *,
        headers: Headers = (),
        json: Any = _UNSAID,
        body: Body | None = None,
        token: str | bytes | None = None,
    ) -> Response:
        """Send one request and return the response.

        `target` is the request target as it stands in the request line. `json` is sent as application/json; `body` as
        it is, in chunks if it is a sequence. `headers` come first, in their order, several of one name if need be.
        """


def scope_of(method: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """The ASGI scope of a request of HTTP/1.1 as uvicorn builds it from httptools. Names of headers are lower case."""
    raw_path, _, query_string = target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50_000),
        "scheme": "http",
        "method": method,
        "root_path": "",
        "path": unquote(raw_path.decode("latin-1")),
        "raw_path": raw_path,
        "query_string": query_string,
        "headers": headers,
        "state": {},
    }


class InProcess:
    """A client that calls an ASGI application with the scope that uvicorn builds from httptools."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def request(
        self,
        method: str,
        target: str | bytes,
        *,
        headers: Headers = (),
        json: Any = _UNSAID,
        body: Body | None = None,
        token: str | bytes | None = None,
    ) -> Response:
        sent, chunks = _framed(headers, json, body, token)
        lowered = [(name.lower(), value.strip(b" \t")) for name, value in sent]
        scope = scope_of(method, _bytes(target), lowered)
        messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        messages = messages or [{"type": "http.request", "body": b"", "more_body": True}]
        messages[-1]["more_body"] = False
        received = iter(messages)
        answered: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return next(received, {"type": "http.disconnect"})

        async def send(message: dict[str, Any]) -> None:
            answered.append(message)

        await self.app(scope, receive, send)
        return _response_from(answered)


class OverSocket:
    """A client that opens a connection for each request and writes what it is told, byte for byte.

    After each response the connection must answer one more request, or be closed if the response says so.
    """

    def __init__(self, host: str, port: int, *, patience: float = 20) -> None:
        self._host = host
        self.port = port
        self._patience = patience

    async def request(
        self,
        method: str,
        target: str | bytes,
        *,
        headers: Headers = (),
        json: Any = _UNSAID,
        body: Body | None = None,
        token: str | bytes | None = None,
    ) -> Response:
        sent, chunks = _framed(headers, json, body, token)
        lines = [b"%s %s HTTP/1.1" % (method.encode(), _bytes(target)), *(b"%s: %s" % header for header in sent)]
        if chunked := body is not None and not isinstance(body, bytes):
            chunks = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks if chunk] + [b"0\r\n\r\n"]
        assert chunked == any(name == b"transfer-encoding" for name, _ in sent)
        head = b"\r\n".join(lines) + b"\r\n\r\n"
        return await asyncio.wait_for(
            self._exchange(head + b"".join(chunks), headless=method == "HEAD"), self._patience
        )

    async def _exchange(self, request: bytes, *, headless: bool) -> Response:
        reader, writer = await asyncio.open_connection(self._host, self.port)
        try:
            # Not awaited: the server may answer before it has read a body that it refuses.
            writer.write(request)
            response = await _read_response(reader, headless=headless)
            await _one_more(reader, writer, closed=response.header("connection") == "close")
            return response
        finally:
            writer.close()


def follow(target: str, reference: str | None) -> str:
    """The request target that a relative reference in the response to `target` leads to (RFC 3986, section 5.2)."""
    assert reference is not None
    assert not reference.startswith("/"), f"{reference} would leave the path prefix of a proxy"
    return urljoin(f"http://127.0.0.1{target}", reference).removeprefix("http://127.0.0.1")


def _framed(
    headers: Headers, json: Any, body: Body | None, token: str | bytes | None
) -> tuple[list[tuple[bytes, bytes]], Sequence[bytes]]:
    sent = [(_bytes(name), _bytes(value)) for name, value in headers]
    named = {name.lower() for name, _ in sent}
    if token is not None:
        sent.append((b"authorization", b"Bearer " + _bytes(token)))
    if json is not _UNSAID:
        body = jsonlib.dumps(json).encode()
        if b"content-type" not in named:
            sent.append((b"content-type", b"application/json"))
    if b"host" not in named:
        sent.insert(0, (b"host", b"127.0.0.1:8000"))
    if body is None:
        return sent, []
    if isinstance(body, bytes):
        sent.append((b"content-length", b"%d" % len(body)))
        return sent, [body]
    sent.append((b"transfer-encoding", b"chunked"))
    return sent, body


def _response_from(answered: list[dict[str, Any]]) -> Response:
    start, *parts = answered
    assert start["type"] == "http.response.start"
    assert [part.get("more_body", False) for part in parts] == [True] * (len(parts) - 1) + [False]
    for name, _ in start["headers"]:
        assert name == name.lower(), name
    headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in start["headers"]]
    return Response(start["status"], headers, b"".join(part.get("body", b"") for part in parts))


async def _read_response(reader: asyncio.StreamReader, *, headless: bool) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
    version, status, _ = line.split(" ", 2)
    assert version == "HTTP/1.1", line
    headers = [(name.lower(), value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    response = Response(int(status), headers, b"")
    if headless or response.status in {204, 304}:
        return response
    if response.header("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            response.body += (await reader.readexactly(size + 2))[:-2]
        assert await reader.readexactly(2) == b"\r\n"  # no trailers
    else:
        response.body = await reader.readexactly(int(response.header("content-length") or ""))
    return response


async def _one_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, closed: bool) -> None:
    if closed:
        assert await reader.read() == b"", "more than one response"
        return
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    response = await _read_response(reader, headless=False)
    assert (response.status, response.body) == (200, b'{"status":"live"}'), f"the next response is {response}"


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
