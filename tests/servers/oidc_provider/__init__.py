"""oidc-provider, the certified OpenID Connect server, in a Node process of the tests' own.

with OidcProvider(tmp_path, "ES384") as provider:
    token = provider.token("ann", "ES384")
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from servers.node import NODE, installed
from servers.processes import ServerProcess

RESOURCE = "https://todo.example/api"
"""The audience of its tokens."""


class OidcProvider:
    """One issuer with a key for each algorithm, from entry to exit; `issuer` is its URL, found by discovery."""

    def __init__(self, logs: Path, *algorithms: str) -> None:
        self._logs = logs
        self._algorithms = algorithms
        self.issuer = ""

    def __enter__(self) -> Self:
        program = installed(Path(__file__).parent) / "server.mjs"
        self._process = ServerProcess([NODE, program, *self._algorithms], logs=self._logs, name="oidc-provider")
        self._process.wait_until(lambda: self._process.stdout.endswith("\n"), seconds=60)
        self.issuer = self._process.stdout.split()[-1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop()

    def token(self, name: str, algorithm: str) -> str:
        """Fetch an access token for RESOURCE, of the client `ann` or `bob`, whose `sub` is the client itself."""
        response = httpx.post(
            f"{self.issuer}/token",
            auth=(f"{name}-{algorithm}", "a secret of the tests' own"),
            data={"grant_type": "client_credentials", "resource": RESOURCE, "scope": "tasks"},
            trust_env=False,
        )
        return str(response.raise_for_status().json()["access_token"])
