"""Sending a work's requests over some connections for some time, and what came of it."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import ROOT

_HERE: Final = Path(__file__).parent


class LoadError(RuntimeError):
    """A request was answered with an error, or not at all, so the figures mean nothing."""


class Outcome(NamedTuple):
    """What a run did; percentiles of the latency are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


class Latencies(NamedTuple):
    """How long the requests of one operation took, in milliseconds."""

    requests: int
    p50: float
    p95: float
    p99: float


@cache
def wrk() -> str | None:
    """Return where wrk is, if it is installed."""
    return shutil.which("wrk")


def send(port: int, file: Path, *, connections: int, seconds: float, number: int) -> Outcome:
    """Send the requests of a file, each connection the next when it has its answer; wrk does it if it is there.

    `number` is what the numbers in the bodies begin with. Raises LoadError if any answer is no success.
    """
    if wrk() is None:
        return _outcome(_generate(port, file, connections, seconds, number))
    command = [wrk() or "wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds) + 5}s", "--timeout", "20s"]
    command += ["-s", str(_HERE / "requests.lua"), f"http://127.0.0.1:{port}", "--", str(file), str(number)]
    return outcome(_run(command, stop_after=seconds))


def send_each(port: int, file: Path, *, connections: int, seconds: float, number: int) -> dict[str, Latencies]:
    """Do what `send` does with the benchmark's own load generator, and tell the latencies by operation."""
    told = _generate(port, file, connections, seconds, number)
    _outcome(told)
    return {name: Latencies(**latencies) for name, latencies in told["operations"].items()}


def outcome(output: str) -> Outcome:
    """Return what the last line of a load generator's output says; LoadError if it tells of errors."""
    return _outcome(_last_line(output))


def _outcome(told: dict[str, Any]) -> Outcome:
    if told["errors"] or not told["requests"]:
        raise LoadError(f"{told['errors']} of {told['requests']} requests were not answered with a success")
    return Outcome(**{name: told[name] for name in Outcome._fields})


def _generate(port: int, file: Path, connections: int, seconds: float, number: int) -> dict[str, Any]:
    arguments = [str(port), str(file), str(connections), str(seconds), str(number)]
    return _last_line(_run([sys.executable, "-m", "benchmarks.generator", *arguments]))


def _run(command: list[str], *, stop_after: float | None = None) -> str:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            output, errors = process.communicate(timeout=stop_after)
        except subprocess.TimeoutExpired:  # wrk knows whole seconds only, and ends in order when it is interrupted
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate()
    if process.returncode:
        raise LoadError(f"the load generator ended with status {process.returncode}: {errors.strip()[-500:]}")
    return output


def _last_line(output: str) -> dict[str, Any]:
    lines = output.strip().splitlines()
    try:
        told: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise LoadError(f"the load generator told nothing: {output[-500:]}") from None
    return told
