"""A collector of spans, as much of one as takes OTLP over HTTP and keeps what it got."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """A collector in a thread of this process, on a free loopback port.

    `spans` are those it got so far, each with the attributes of the process that sent it; `raw` is all bytes of it.
    While `answering` is cleared it takes requests and answers none.
    """

    def __init__(self) -> None:
        self.spans: list[tuple[dict[str, str], Span]] = []
        self.raw = b""
        self.answering = threading.Event()
        self.answering.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.answering.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """What `OTEL_EXPORTER_OTLP_ENDPOINT` has to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, body: bytes) -> None:
        """Keep what a request brought."""
        brought = ExportTraceServiceRequest.FromString(body)
        self.raw += body
        for sent in brought.resource_spans:
            resource = {each.key: each.value.string_value for each in sent.resource.attributes}
            self.spans += [(resource, span) for scope in sent.scope_spans for span in scope.spans]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.answering.wait()
                ours = (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
                if ours:
                    collector.take(body)
                self.send_response(200 if ours else 404)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
