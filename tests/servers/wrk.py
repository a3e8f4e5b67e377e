"""wrk, the load generator of the drills and the benchmarks: it sends the requests of a file in turn, without a pause.

Debian has it (`apt-get install wrk`), PyPI does not: `require` says so.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import pytest

from servers.processes import LOOPBACK

END: Final = b"\0"
"""Ends a request in a file of requests."""

NUMBER: Final = "@@@@@@@@@@"
"""Stands in a request for ten digits that are different each time it is sent."""

_MISSING: Final = "wrk is not installed: `apt-get install wrk` brings it"
_LUA: Final = Path(__file__).with_name("requests.lua")
_LONGER: Final = 5  # seconds: wrk counts in whole ones, and is interrupted before


class WrkError(RuntimeError):
    """wrk could not do its work; `str()` says why."""


class Outcome(NamedTuple):
    """What was answered in some seconds: percentiles of the latency in milliseconds, responses that were no success
    (`refused`), and connections or requests that ended without a response (`broken`).
    """

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float
    refused: int = 0
    broken: int = 0

    @property
    def rate(self) -> float:
        """Responses a second."""
        return self.requests / self.seconds


def available() -> bool:
    """Whether wrk is installed."""
    return shutil.which("wrk") is not None


def require() -> None:
    """Skip the calling test where wrk is missing; in CI, which has it, let the test fail instead."""
    if not available():
        pytest.fail(_MISSING) if os.environ.get("CI") == "true" else pytest.skip(_MISSING)


def message(method: str, path: str, token: str, body: str = "") -> str:
    """Return a request as HTTP/1.1 has it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    elif method != "GET":
        lines.append("Content-Length: 0")
    return "\r\n".join([*lines, "", body])


def encoded(messages: Iterable[str]) -> bytes:
    """Return the contents of a file of requests."""
    return b"".join(each.encode() + END for each in messages)


class Wrk:
    """wrk at work from construction on: each connection sends the next request when it has its response.

    `number` is what the numbers in the requests begin with. Raises WrkError where wrk is not installed.
    """

    def __init__(self, port: int, file: Path, *, connections: int, seconds: float, number: int = 0) -> None:
        if not available():
            raise WrkError(_MISSING)
        self._until = time.monotonic() + seconds
        command = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds) + _LONGER}s", "--timeout", "20s"]
        command += ["-s", str(_LUA), f"http://{LOOPBACK}:{port}", "--", str(file), str(number)]
        command = ["sh", "-c", 'ulimit -S -n 4096 && exec "$@"', "sh", *command]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def running(self) -> bool:
        """Whether its seconds are not over, and it has not ended sooner."""
        return self._process.poll() is None and time.monotonic() < self._until

    def outcome(self) -> Outcome:
        """Wait until its seconds are over, and return what came of it. Raises WrkError if nothing did."""
        try:
            output, errors = self._process.communicate(timeout=max(0.0, self._until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGINT)  # it ends in order then
            output, errors = self._process.communicate()
        if self._process.returncode:
            raise WrkError(f"wrk ended with status {self._process.returncode}: {errors.strip()[-500:]}")
        return read(output)


def read(output: str) -> Outcome:
    """Return what the last line of wrk's output says."""
    try:
        figures: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise WrkError(f"wrk reported nothing: {output[-500:]}") from None
    return Outcome(**figures)
