"""Better Auth with its JWT plugin: a provider as front ends really use it, in a Node process of the tests' own.

with BetterAuth(tmp_path, "EdDSA") as provider:
    session = provider.sign_up("EdDSA")
    token = session.token()
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from servers.node import NODE, installed
from servers.processes import ServerProcess


class BetterAuth:
    """One instance for each algorithm, from entry to exit; `urls` are their base URLs, and what `iss` and `aud` are."""

    def __init__(self, logs: Path, *algorithms: str) -> None:
        self._logs = logs
        self._algorithms = algorithms
        self.urls: dict[str, str] = {}

    def __enter__(self) -> Self:
        program = installed(Path(__file__).parent) / "server.mjs"
        self._process = ServerProcess([NODE, program, *self._algorithms], logs=self._logs, name="better-auth")
        self._process.wait_until(lambda: self._process.stdout.endswith("\n"), seconds=60)
        self.urls = json.loads(self._process.stdout)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop()

    def sign_up(self, algorithm: str) -> Session:
        """Sign up somebody new, as the front end's client library does."""
        return Session(self.urls[algorithm])

    def rotate(self, algorithm: str) -> None:
        """End the life of the signing key: the next token is signed with a new one, the old one stays published."""
        httpx.post(f"{self.urls[algorithm]}/rotate", trust_env=False).raise_for_status()


class Session:
    """Somebody who has signed up and in: `user_id`, the session's `bearer` token, and its cookies."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(base_url=f"{url}/api/auth", headers={"Origin": url}, trust_env=False)
        person = {"name": "Ann", "email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_hex(16)}
        response = self._client.post("/sign-up/email", json=person).raise_for_status()
        self.user_id: str = response.json()["user"]["id"]
        self.bearer: str = response.headers["set-auth-token"]
        self.cookies = dict(response.cookies)

    def token(self) -> str:
        """Fetch a JWT for other services."""
        return str(self._client.get("/token").raise_for_status().json()["token"])

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()
