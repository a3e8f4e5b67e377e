"""Reading requests from a connection's bytes: what the parser may keep, in which order, and what is no request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from todo_adapters.http.protocol.errors import HeadersTooLarge
from todo_app.framing import FRAMING, LIMIT, Framing, body_length
from todo_app.transports import READ, AnswerTransport, Flow, nothing
from todo_domain import Invalid, TodoError

if TYPE_CHECKING:
    import asyncio

READ_AHEAD: Final = 16_384
"""Bytes of a body that wait for the application before no more of it are parsed."""


class RequestReader(HttpToolsProtocol):
    """uvicorn's protocol, which here reads one request after the other.

    The next request is not parsed before the one before it is answered, so READ bytes of it are kept at most. A
    target, a header section or a trailer section over LIMIT is refused as it arrives, and so is what RFC 9112 has
    refused. Trailers are dropped and upgrades are ignored (RFC 9110, sections 6.5.1 and 7.8).
    """

    flow: Flow
    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # as it is before the first request
    url: bytes = b""
    _answer_transport: AnswerTransport
    _unparsed: bytes = b""
    _section: int = 0
    _upgrade: bool = False
    _keep_alive: bool = True
    _closing: bool = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's does
        """Begin to read."""
        super().connection_made(transport)
        self.flow = Flow(transport, self._parse)
        self._reading = FlowControl(transport)
        self._framing = Framing()
        self._framing_fields: list[tuple[bytes, bytes]] = []

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was read."""
        super().connection_lost(exc)
        self._closing = True
        self._unparsed = b""
        self.flow.parse = nothing  # a circle less for the garbage collector

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, as far as a request may be taken."""
        if self._closing:
            self._dropped(data)
            return
        self._unset_keepalive_if_required()
        self._unparsed = self._unparsed + data if self._unparsed else data
        self._parse()
        if len(data) >= READ and not self._closing:  # there is more, but it is the turn of the other connections
            self._reading.pause_reading()
            self.loop.call_soon(self._parse)

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self.server_state.total_requests += 1
        if self._closing or self.transport.is_closing() or self.cycle is None:
            return
        if self._unparsed:
            self._parse()
        elif not self.cycle.more_body:
            self._wait_for_the_next()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self.url += url
        if len(self.url) > LIMIT:
            raise HeadersTooLarge(f"the request target must be at most {LIMIT:,} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field, or drop a trailer field."""
        self._section += len(name) + len(value) + 4
        if self._section > LIMIT:
            raise _too_many_fields()
        if self._framing.in_head:
            name = name.lower()
            if name in FRAMING:
                self._framing_fields.append((name, value))
            elif name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is to be refused, or read again without its wish for another protocol."""
        self._check_excess()
        version = self.parser.get_http_version()
        length = body_length(version, self._framing_fields)
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise Invalid("request", "must not be CONNECT: this is no proxy")
            self._upgrade = True
            return
        if not self.url.startswith(b"/"):
            self.url = _with_path(self.url)
        if version == "1.0":
            self.expect_100_continue = False  # RFC 9110, section 10.1.1
        super().on_headers_complete()
        cycle: RequestResponseCycle = self.cycle  # type: ignore[assignment]  # there is one by now
        cycle.transport = self._answer_transport  # type: ignore[assignment]  # it asks no more of it than that
        self._keep_alive = cycle.keep_alive
        if self.expect_100_continue:
            cycle.keep_alive = False  # until the body comes, which the client may not send after a refusal
        self._framing_fields.clear()
        self._section = 0
        self._framing.head_ended(length)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._framing.content(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Know that the request is complete, answered or not."""
        if self._upgrade:
            return
        self._check_excess()
        cycle: RequestResponseCycle = self.cycle  # type: ignore[assignment]  # there is one by now
        cycle.more_body = False
        if self.expect_100_continue and not cycle.response_started:
            cycle.keep_alive = self._keep_alive
        cycle.message_event.set()
        self._framing.begin()
        self._section = 0
        self.url = b""
        if cycle.response_complete:
            self._wait_for_the_next()

    def _parse(self) -> None:
        """Give the parser what was read, as far as a request may be taken; read on once all of it is parsed."""
        data, at = self._unparsed, 0
        if self._closing:
            return
        while at < len(data) and self._may_parse():
            end = self._framing.next_piece(data, at)
            try:
                self._feed(data[at:end])
                self._check_excess()
            except httptools.HttpParserError as problem:
                self._refuse(_reason(problem), data[at:])
                return
            except HeadersTooLarge as problem:
                self._refuse(problem, data[at:])
                return
            at = end
        self._unparsed = data[at:]
        if self._unparsed:
            self._reading.pause_reading()
        else:
            self._reading.resume_reading()

    def _may_parse(self) -> bool:
        """Tell whether a request may begin, or more of the current one be taken."""
        cycle = self.cycle
        return cycle is None or cycle.response_complete or (cycle.more_body and len(cycle.body) < READ_AHEAD)

    def _check_excess(self) -> None:
        if self._framing.excess > LIMIT and self._framing.exceeded(len(self.url)):
            raise _too_many_fields()

    def _feed(self, piece: bytes) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._upgrade = False
            self._framing_fields.clear()
            self._section = 0
            head = [
                b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
            ]
            head += [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(b"".join([*head, b"\r\n"]))

    def _wait_for_the_next(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _refuse(self, error: TodoError, rest: bytes) -> None:
        """Refuse a request in which, or before, `rest` was read."""
        raise NotImplementedError

    def _dropped(self, data: bytes) -> None:
        """Take notice of what was read after that."""


def _reason(problem: httptools.HttpParserError) -> TodoError:
    """Return why the parser stopped; raises what is no fault of the client's."""
    cause = problem.__context__  # what one of our callbacks raised
    if cause is None or isinstance(cause, httptools.HttpParserError):
        return Invalid("request", "must be HTTP/1.1")
    if isinstance(cause, TodoError):
        return cause
    raise cause


def _with_path(target: bytes) -> bytes:
    """Return a target in absolute form with its path, which it may leave out (RFC 9112, section 3.2.2)."""
    parts = httptools.parse_url(target)
    return target if parts.path else b"/" + (b"?" + parts.query if parts.query else b"")


def _too_many_fields() -> HeadersTooLarge:
    return HeadersTooLarge(f"the headers, and the trailers of a body, must be at most {LIMIT:,} bytes")
