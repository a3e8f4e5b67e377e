"""`todo` as its users run it: the installed command, in a process and a directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple, Self

from servers.processes import ServerProcess, free_port

TODO = Path(sys.executable).with_name("todo")


class Reply(NamedTuple):
    """An answer over a real connection; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: Any


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without any setting of the service, and with these."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TODO_") and name != "DATABASE_URL"}
    return {**own, "PYTHONUNBUFFERED": "1", **settings}


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


class Served:
    """A running `todo serve` on a free loopback port; `directory` is its working directory and gets its logs."""

    def __init__(self, directory: Path, *arguments: str, command: Path = TODO, **settings: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.process = ServerProcess(
            [command, "serve", "--port", str(self.port), *arguments],
            logs=directory,
            name="serve",
            cwd=directory,
            env=environment(**settings),
        )
        self.settings = settings

    def __enter__(self) -> Self:
        self.process.wait_for_http(f"{self.origin}/health/ready")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    @property
    def origin(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def token(self, user: str) -> str:
        """A token that this deployment's own command signs."""
        signed = todo("token", "--user", user, cwd=self.directory, **self.settings)
        assert signed.returncode == 0, signed.stderr
        return signed.stdout.strip()

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
            answer = connection.getresponse()
            raw = answer.read()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, told, json.loads(raw) if raw else None)
        finally:
            connection.close()
