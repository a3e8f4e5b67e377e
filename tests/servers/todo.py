"""`todo` as its users run it: the installed command, in a process and a directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple, Self

import jwt

from servers.forked import READ_BY_PYTHON, ForkedProcess, read_by_python
from servers.processes import ServerProcess, accepts, answers_200, free_port
from servers.terminal import Terminal
from support.log import error_lines

TODO = Path(sys.executable).with_name("todo")


class Reply(NamedTuple):
    """A response over a real connection; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: Any


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without any setting of the service, and with these."""
    ours = (
        "TODO_",
        "PORT",
        "DATABASE_URL",
        "OTEL_",
        "SSL_CERT_FILE",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**own, "PYTHONUNBUFFERED": "1", **settings}


def token_for(user: str, secret: str) -> str:
    """A token for this user, good for an hour, without starting the command that signs one."""
    return jwt.encode({"sub": user, "exp": int(time.time()) + 3_600}, secret, "HS256")


def todo(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [TODO, *arguments],
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def on_terminal(*command: str | Path, cwd: Path, **settings: str) -> tuple[Terminal, int]:
    """Start a command that serves on a terminal of its own; return the terminal and the port, a free one by default."""
    port = int(settings.setdefault("TODO_PORT", str(free_port())))
    env = environment(**settings)
    env.pop("MAKEFLAGS", None)  # of a make that runs the tests
    env.pop("MAKELEVEL", None)
    return Terminal(command, cwd=cwd, env=env), port


def wait_until_ready(port: int) -> None:
    """Return once the service on this port is ready; TimeoutError after a minute."""
    deadline = time.monotonic() + 60
    while not answers_200(f"http://127.0.0.1:{port}/health/ready"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing on port {port} became ready")
        time.sleep(0.05)


class Served:
    """A running `todo serve` on a free loopback port, or `port`; `directory` is where it works and gets its logs.

    It is a fork of a process that has imported `todo`, where that makes no difference. A test of the start itself asks
    for a `new_process`.

    At the end, unless the test has failed already or ended it, it must answer two more requests on one connection, and
    have logged no error. A test that provokes some sets `may_log_errors`.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        command: Path = TODO,
        port: int | None = None,
        new_process: bool = False,
        **settings: str,
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        env = environment(**settings)
        may_fork = command == TODO and not new_process and read_by_python(env) == READ_BY_PYTHON
        self.process = (ForkedProcess if may_fork else ServerProcess)(
            [command, "serve", "--port", str(self.port), *arguments],
            logs=directory,
            name="serve",
            cwd=directory,
            env=env,
        )
        self.settings = settings
        self.may_log_errors = False

    def __enter__(self) -> Self:
        self.process.wait_for_http(f"{self.origin}/health/ready")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self.process.running and accepts(self.port):
                self._answer_two_more()
        finally:
            self.process.stop()
        errors = error_lines(self.process.stderr)
        if kind is None and errors and not self.may_log_errors:
            raise AssertionError(f"the service has logged errors: {errors}")

    def _answer_two_more(self) -> None:
        """Assert that a connection still answers one request, and then another."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        for _ in range(2):
            connection.request("GET", "/health/live")
            response = connection.getresponse()
            if (response.status, response.read()) != (200, b'{"status":"live"}'):
                raise AssertionError(f"the service does not answer one more request: {response.status}")
        connection.close()

    @property
    def origin(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def token(self, user: str) -> str:
        """A token for this user, good for an hour, signed here with the secret of this deployment."""
        secret = self.settings.get("TODO_JWT_SECRET") or (self.directory / "todo.db.secret").read_text()
        return token_for(user, secret)

    def text(self, path: str) -> str:
        """The body of a 200 that takes no token and is no JSON, such as that of `/metrics`."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200
            return response.read().decode()
        finally:
            connection.close()

    def request(
        self, method: str, path: str, token: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Send one request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            given = {"Authorization": f"Bearer {token}", **(headers or {})}
            if body is not None:
                given["Content-Type"] = "application/json"
            connection.request(method, path, None if body is None else json.dumps(body), given)
            response = connection.getresponse()
            raw = response.read()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, received, json.loads(raw) if raw else None)
        finally:
            connection.close()
