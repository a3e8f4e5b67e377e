"""One device's connection to the service, and what all of them together saw on theirs."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from chaos.service import Service

LONGEST: Final = 3.5
"""Seconds within which a request is answered, or its connection ends, whatever is broken."""

_ENDED: Final = "connection ended"
_HOPELESS: Final = 60.0  # seconds, that a process which starts on a busy machine may take
_REQUESTS_PER_CONNECTION: Final = 20  # on average: so that everybody meets every worker
_MEMBERS: Final = {"error", "code", "request_id", "outcome"}


class Reply(NamedTuple):
    """A response; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def unknown(self) -> bool:
        """Whether the service says that it does not know whether a write happened."""
        return self.status == 503 and self.body.get("outcome") == "unknown"


class Lost(Exception):
    """No response came. `sent` tells whether the request may have arrived."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the connection ended")
        self.sent = sent


class Traffic:
    """What was answered, how fast, and which promises were broken."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.longest = 0.0
        self.longest_away = 0.0  # of requests that met processes which were ended or started
        self.late = 0.0
        self.problems: list[str] = []

    @property
    def failures(self) -> int:
        """How many requests were told 503, or nothing."""
        return self.statuses["503"] + self.statuses[_ENDED]

    async def watch_ourselves(self) -> None:
        """Measure how late this very process is: that much of a slow response is not the service's."""
        while True:
            due = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            self.late = max(self.late, time.monotonic() - due)

    def note(self, what: str, seconds: float, reply: Reply | None, *, away: bool = False) -> None:
        """Count a response, or that there was none, and hold it against the promises for all of them.

        A process that starts takes connections before it answers: who came while the service was `away` waits for that.
        """
        self.statuses[str(reply.status) if reply else _ENDED] += 1
        if away:
            self.longest_away = max(self.longest_away, seconds)
        else:
            self.longest = max(self.longest, seconds)
        if seconds > (_HOPELESS if away else LONGEST) + self.late:
            self.problems.append(f"{what} took {seconds:.2f} s, and this process was {self.late:.2f} s late at most")
        if reply and reply.status >= 500 and (wrong := _not_our_503(reply)):
            self.problems.append(f"{what} was answered {reply.status} {reply.body!r}: {wrong}")


def _not_our_503(reply: Reply) -> str | None:
    if reply.status != 503:
        return "no 5xx but 503 is allowed"
    if not isinstance(reply.body, dict) or not {"error", "code", "request_id"} <= reply.body.keys() <= _MEMBERS:
        return "not the shape of our errors"
    if reply.body["code"] != "unavailable" or not reply.headers.get("retry-after", "").isdecimal():
        return "not unavailable with Retry-After"
    return None


class Line:
    """Requests of one user, one after the other, on a connection that is kept for some of them."""

    def __init__(self, service: Service, user: str, traffic: Traffic, random: Random) -> None:
        self._service = service
        self._token = service.token(user)
        self._traffic = traffic
        self._random = random
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """Return the response, or raise Lost."""
        began, reply, sent = time.monotonic(), None, False
        kept, away, absences = False, self._service.away, self._service.absences
        try:
            async with asyncio.timeout(_HOPELESS):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._service.port)
                sent = True
                reply = await self._exchange(method, path, body, headers)
            kept = reply.headers.get("connection") != "close" and self._random.random() > 1 / _REQUESTS_PER_CONNECTION
        except (OSError, EOFError, TimeoutError):
            raise Lost(sent=sent) from None
        else:
            return reply
        finally:
            if not kept:
                self.close()
            away |= absences != self._service.absences
            self._traffic.note(f"{method} {path}", time.monotonic() - began, reply, away=away)

    def close(self) -> None:
        """End the connection; the next request makes another one."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _exchange(self, method: str, path: str, body: object, headers: dict[str, str]) -> Reply:
        assert self._streams is not None
        reader, writer = self._streams
        content = b"" if body is None else json.dumps(body).encode()
        given = {"Host": "x", "Authorization": f"Bearer {self._token}", "Content-Length": str(len(content))}
        if body is not None:
            given["Content-Type"] = "application/json"
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content)
        await writer.drain()
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        received = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        if received.get("transfer-encoding") == "chunked":
            raw = await _chunks(reader)
        else:
            raw = await reader.readexactly(int(received.get("content-length", "0")))
        try:
            said = json.loads(raw) if raw else None
        except ValueError:
            said = raw[:200].decode(errors="replace")
        return Reply(int(status.split()[1]), received, said)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """Read a body of RFC 9112, section 7.1; EOFError if the connection ends before its last chunk."""
    pieces = []
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)
