"""Reads requests from a connection's bytes, one at a time and bounded, and refuses malformed ones."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from todo_adapters.http.protocol.errors import HeadersTooLarge
from todo_app.server.framing import FRAMING, LIMIT, Framing, body_length
from todo_app.server.malformed import reason
from todo_app.server.methods import KNOWN, STAND_IN, method_at
from todo_app.server.response_cycle import ResponseCycle
from todo_app.server.transports import READ, Flow, ResponseTransport, nothing
from todo_domain import TodoError

READ_AHEAD: Final = 16_384
"""Bytes of a body that are parsed ahead of the application."""


class RequestReader(HttpToolsProtocol):
    """uvicorn's protocol, changed to read one request after the other.

    A request is parsed after the previous one is answered, so at most READ bytes of it are buffered. A target, a header
    section or a trailer section over LIMIT is refused as it arrives, and so is a request that RFC 9112 requires a
    server to refuse. Trailers are dropped and upgrades are ignored (RFC 9110, sections 6.5.1 and 7.8). Any method
    reaches the application; the parser gets STAND_IN in place of one that is not in KNOWN.
    """

    flow: Flow
    cycle: ResponseCycle | None  # type: ignore[assignment]  # as it is before the first request
    url: bytes = b""
    _method: bytes | None = None
    """The method that STAND_IN replaces; empty for one of KNOWN, None before the method has arrived."""
    _response_transport: ResponseTransport
    _unparsed: bytes = b""
    _section: int = 0
    _upgrade: bool = False
    _keep_alive: bool = True
    _closing: bool = False
    _idle_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's does
        """Start reading."""
        super().connection_made(transport)
        self.flow = Flow(transport, self._parse)
        self._reading = FlowControl(transport)
        self._framing = Framing()
        self._framing_fields: list[tuple[bytes, bytes]] = []

    def connection_lost(self, exc: Exception | None) -> None:
        """Discard the unparsed bytes."""
        super().connection_lost(exc)
        self._closing = True
        self._unparsed = b""
        self.flow.parse = nothing  # breaks a reference cycle

    def data_received(self, data: bytes) -> None:
        """Parse the bytes that arrived, as far as the next request may begin."""
        if self._closing:
            self._dropped(data)
            return
        self._idle_since = None
        self._unparsed = self._unparsed + data if self._unparsed else data
        self._parse()
        if len(data) >= READ and not self._closing:  # there is more, but other connections come first
            self._reading.pause_reading()
            self.loop.call_soon(self._parse)

    def on_response_complete(self) -> None:
        """Parse the next request, or wait for one."""
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
        """Pass the request on, unless its head is refused or must be parsed again without `Upgrade`."""
        self._check_excess()
        version = self.parser.get_http_version()
        length = body_length(version, self._framing_fields)
        if self.parser.should_upgrade():
            self._upgrade = True
            return
        if not self.url.startswith(b"/"):
            self.url = _with_path(self.url)
        if version == "1.0":
            self.expect_100_continue = False  # RFC 9110, section 10.1.1
        self._begin_response(version)
        self._framing_fields.clear()
        self._section = 0
        self._framing.head_ended(length)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._framing.content(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete, and wait for the next one if it is answered."""
        if self._upgrade:
            return
        self._check_excess()
        cycle: ResponseCycle = self.cycle  # type: ignore[assignment]  # the head has set it
        cycle.more_body = False
        if self._keep_alive and not self.parser.should_keep_alive():
            self._renew_parser()  # it takes a trailer field for `Connection: close`, and would drop what follows
        if self.expect_100_continue and not cycle.response_started:
            cycle.keep_alive = self._keep_alive
        cycle.message_event.set()
        self._framing.begin()
        self._section = 0
        self.url = b""
        self._method = None
        if cycle.response_complete:
            self._wait_for_the_next()

    def _parse(self) -> None:
        """Parse the buffered bytes as far as the next request may begin; pause reading while any are left."""
        data, at = self._unparsed, 0
        if self._closing:
            return
        incomplete = False
        while at < len(data) and self._may_parse():
            try:
                if self._method is None:
                    if data.startswith(KNOWN, at):
                        self._method = b""
                    else:
                        data, at = self._with_stand_in(data, at)
                        if incomplete := self._method is None:
                            break
                end = self._framing.next_piece(data, at)
                self._feed(data[at:end])
                self._check_excess()
            except httptools.HttpParserError as problem:
                self._refuse(reason(problem), data[at:])
                return
            except TodoError as problem:
                self._refuse(problem, data[at:])
                return
            at = end
        self._unparsed = data[at:]
        if self._unparsed and not incomplete:
            self._reading.pause_reading()
        else:
            self._reading.resume_reading()

    def _with_stand_in(self, data: bytes, at: int) -> tuple[bytes, int]:
        """Return the bytes from the method on, STAND_IN in its place, and where they begin.

        Empty lines before it are skipped (RFC 9112, section 2.2). An incomplete method stays.
        """
        begin = len(data) - len(data[at:].lstrip(b"\r\n"))
        self._framing.skip(begin - at)
        self._check_excess()
        method = method_at(data, begin)
        if method is None:
            return data, begin
        self._method = method
        return STAND_IN + data[begin + len(method) :], 0

    def _begin_response(self, version: str) -> None:
        """Call the application for the request whose head is complete."""
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope = self.scope
        scope["method"] = (self._method or self.parser.get_method()).decode("ascii")
        scope["http_version"] = version
        scope["path"] = self.root_path + (unquote(path) if "%" in path else path)
        scope["raw_path"] = self.root_path.encode("ascii") + url.path
        scope["query_string"] = url.query or b""
        self._keep_alive = version != "1.0" and self.parser.should_keep_alive()
        self.cycle = ResponseCycle(
            scope=scope,
            transport=self._response_transport,  # type: ignore[arg-type]  # it uses no other methods
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            # Not before the body comes: the client may leave it out after a refusal.
            keep_alive=self._keep_alive and not self.expect_100_continue,
            on_response=self.on_response_complete,
        )
        self._start_asgi_task(self.cycle, self.app)

    def _may_parse(self) -> bool:
        """Return whether a request may begin, or more of the current body may be parsed."""
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
            self._renew_parser()
            self.parser.feed_data(b"".join([*head, b"\r\n"]))

    def _renew_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _wait_for_the_next(self) -> None:
        self._idle_since = self.loop.time()

    def _refuse(self, error: TodoError, rest: bytes) -> None:
        """Refuse the current request; `rest` is unparsed."""
        raise NotImplementedError

    def _dropped(self, data: bytes) -> None:
        """Handle bytes that arrive after a refusal."""


def _with_path(target: bytes) -> bytes:
    """Return a target in absolute form with its path, which it may leave out (RFC 9112, section 3.2.2)."""
    parts = httptools.parse_url(target)
    return target if parts.path else b"/" + (b"?" + parts.query if parts.query else b"")


def _too_many_fields() -> HeadersTooLarge:
    return HeadersTooLarge(f"the headers, and the trailers of a body, must be at most {LIMIT:,} bytes")
