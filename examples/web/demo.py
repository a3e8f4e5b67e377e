"""Serves the page of this directory and a service, each at its own origin: `make demo`.

Prints a link for each user, and opens the links where a browser can be started. Ctrl-C ends both servers.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import webbrowser
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import jwt

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent
HOST = "127.0.0.1"
START_SECONDS = 30
"""Seconds that the service may take to start."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {api};"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
    " trusted-types 'none'"
)
"""The page runs only its own modules, sends requests only to the service, and never turns text into HTML."""


class Tokens:
    """Signs the tokens of this run, as an identity provider does for a real front end."""

    def __init__(self, lifetime: int) -> None:
        self.secret = secrets.token_hex(32)
        self._lifetime = lifetime

    def sign(self, user: str) -> str:
        """Return a token of this user."""
        now = int(time.time())
        return jwt.encode({"sub": user, "iat": now, "exp": now + self._lifetime}, self.secret, "HS256")

    def renew(self, authorization: str) -> str | None:
        """Return a fresh token of the same user, or None if the old one is not of this run.

        An old token may have expired: it replaces the session of a provider, and a laptop may sleep.
        """
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "), self.secret, ["HS256"], options={"verify_exp": False}
            )
        except jwt.InvalidTokenError:
            return None
        return self.sign(claims["sub"])


class PageServer(ThreadingHTTPServer):
    """Serves the page from the first port, or from one that the kernel chooses if that is taken."""

    daemon_threads = True

    def __init__(self, port: int, tokens: Tokens) -> None:
        try:
            super().__init__((HOST, port), PageHandler)
        except OSError:
            super().__init__((HOST, 0), PageHandler)
        self.tokens = tokens
        self.api = ""
        """The origin of the service, known once it has started."""

    @property
    def origin(self) -> str:
        """The URL of the page."""
        return f"http://{HOST}:{self.server_port}"


class PageHandler(SimpleHTTPRequestHandler):
    """Answers with the files of this directory, the configuration of the page, and fresh tokens."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: PageServer
    extensions_map = {  # noqa: RUF012  the standard library's own attribute, which is no ClassVar there
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".svg": "image/svg+xml",
    }

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments, directory=str(PAGE))  # type: ignore[arg-type]  # socketserver's three

    def do_GET(self) -> None:
        """Answer with a file of the page; other files, such as this one, are 404."""
        path = self.path.partition("?")[0]
        if path == "/config.js":
            text = f"export const api = {json.dumps(self.server.api + '/api/me')};\nexport const renewal = '/token';\n"
            self._reply(HTTPStatus.OK, "text/javascript; charset=utf-8", text)
        elif path == "/" or Path(path).suffix in self.extensions_map:
            super().do_GET()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Renew a token."""
        token = self.server.tokens.renew(self.headers.get("Authorization", ""))
        if self.path == "/token" and token is not None:
            self._reply(HTTPStatus.OK, "application/json", json.dumps({"token": token}))
        else:
            self.close_connection = True  # a body may follow that nobody reads
            self.send_error(HTTPStatus.UNAUTHORIZED if self.path == "/token" else HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """Add the headers of every answer."""
        self.send_header("Content-Security-Policy", POLICY.format(api=self.server.api))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _reply(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def service(directory: Path, origin: str, secret: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a service on a free port, with its tasks in `directory`; yield the process and its origin.

    Settings of the environment and of a .env file belong to another deployment and are ignored. Raises RuntimeError if
    the service does not start.
    """
    directory.mkdir(parents=True, exist_ok=True)
    foreign = ("TODO_", "PORT", "DATABASE_URL", "OTEL_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    settings = {"TODO_JWT_SECRET": secret, "TODO_CORS_ORIGINS": origin, "TODO_LOG_LEVEL": "warning"}
    settings |= {"TODO_PORT": "0", "TODO_AUDIT_LOG": "audit.log"}
    command: list[str | Path] = [Path(sys.executable).with_name("todo"), "serve"]
    process = subprocess.Popen(  # noqa: S603  our own command
        command, cwd=directory, env={**own, **settings, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    )
    watch = threading.Timer(START_SECONDS, process.kill)
    watch.start()
    try:
        assert process.stdout is not None  # noqa: S101  for the type checker: it is a pipe
        lines = iter(process.stdout.readline, "")
        api = next((line.split()[-1] for line in lines if " serves " in line), "")
        if any(line.startswith("health:") for line in lines) and api:
            watch.cancel()
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield process, api
        else:
            raise RuntimeError("the service did not start: the lines above say why")
    finally:
        watch.cancel()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def open_links(links: list[str]) -> None:
    """Open the links in a graphical browser if there is one; a browser in the terminal would take it over."""
    graphical = sys.platform in {"darwin", "win32"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not graphical:
        return
    try:
        for link in links:
            webbrowser.open(link)
    except (webbrowser.Error, OSError):
        return  # the links are printed


def main() -> int:
    """Serve until Ctrl-C; return the exit status."""
    parser = argparse.ArgumentParser(description="the example page beside a service of its own, at another origin")
    parser.add_argument("--port", type=int, default=8080, help="the page's port (8080); if it is taken, a free one")
    parser.add_argument("--data", type=Path, default=Path(".venv/demo"), help="where the tasks are (.venv/demo)")
    parser.add_argument("--users", nargs="+", default=["ann", "ben"], help="who gets a link (ann ben)")
    parser.add_argument("--lifetime", type=int, default=900, help="seconds that a token is valid (900)")
    parser.add_argument("--no-browser", action="store_true", help="only print the links")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tokens = Tokens(arguments.lifetime)
    try:
        with (
            PageServer(arguments.port, tokens) as page,
            service(arguments.data, page.origin, tokens.secret) as (process, api),
        ):
            page.api = api
            threading.Thread(target=page.serve_forever, daemon=True).start()
            links = [f"{page.origin}/#token={tokens.sign(user)}" for user in arguments.users]
            print(f"service: {api}\npage:    {page.origin}\n")
            for user, link in zip(arguments.users, links, strict=True):
                print(f"{user}:\n{link}\n")
            print("Open a link in two tabs or two browsers: they follow each other. Ctrl-C ends the demo.", flush=True)
            if not arguments.no_browser:
                threading.Thread(target=open_links, args=[links], daemon=True).start()
            try:
                return process.wait()
            finally:
                page.shutdown()
    except RuntimeError as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
