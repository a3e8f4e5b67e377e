"""Pages for a browser, from an origin of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def another_origin(modules: Path | None = None) -> Iterator[str]:
    """Serve the modules of JavaScript below a directory, and an empty page everywhere else; yield the origin."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            module = modules is not None and self.path.endswith((".js", ".mjs"))
            body = (modules / self.path[1:]).read_bytes() if modules is not None and module else b""
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript" if module else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
