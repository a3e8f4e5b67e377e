"""Better Auth with its JWT plugin: a provider as front ends really use it, in a Node process of the tests' own.

with BetterAuth(tmp_path, "EdDSA") as provider:
    session = provider.sign_up("EdDSA")
    token = session.token()
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import pytest

from servers.processes import ServerProcess

_HERE = Path(__file__).parent
_FILES = ("package.json", "package-lock.json", "server.mjs")
_OLDEST_NODE = (20, 19)


class BetterAuth:
    """One instance for each algorithm, from entry to exit; `urls` are their base URLs, and what `iss` and `aud` are."""

    def __init__(self, logs: Path, *algorithms: str) -> None:
        self._logs = logs
        self._algorithms = algorithms
        self.urls: dict[str, str] = {}

    def __enter__(self) -> Self:
        program = _installed() / "server.mjs"
        self._process = ServerProcess(
            [shutil.which("node") or "node", program, *self._algorithms], logs=self._logs, name="better-auth"
        )
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
        answer = self._client.post("/sign-up/email", json=person).raise_for_status()
        self.user_id: str = answer.json()["user"]["id"]
        self.bearer: str = answer.headers["set-auth-token"]
        self.cookies = dict(answer.cookies)

    def token(self) -> str:
        """Fetch a JWT for other services."""
        return str(self._client.get("/token").raise_for_status().json()["token"])

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def require() -> None:
    """Skip the test where Node or npm is missing; fail it in CI (CI=true), which has to have both."""
    _refuse(_missing())


def _missing() -> str | None:
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "Node.js is not installed, and a real provider runs on it"
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(part) for part in told.strip().removeprefix("v").split(".")[:2])
    if version < _OLDEST_NODE:
        return f"Node.js is too old for Better Auth: {told.strip()}"
    return None


def _refuse(sentence: str | None) -> None:
    if sentence is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


@cache
def _installed() -> Path:
    """Return the directory with the program and what it imports: installed once per user and lock, not per run."""
    contents = b"".join((_HERE / name).read_bytes() for name in _FILES)
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "todo-tests"
    installed = cache_home / f"better-auth-{hashlib.sha256(contents).hexdigest()[:16]}"
    if installed.exists():
        return installed
    cache_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_home) as directory:
        making = Path(directory) / "making"
        making.mkdir()
        for name in _FILES:
            shutil.copy(_HERE / name, making)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        ran = subprocess.run(command, cwd=making, capture_output=True, text=True, check=False)
        if ran.returncode:
            _refuse(f"npm could not install Better Auth: {ran.stderr.strip()[-500:]}")
        try:
            making.rename(installed)
        except OSError:  # another run was faster
            if not installed.exists():
                raise
    return installed
