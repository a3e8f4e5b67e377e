"""The contenders. Each is one process that serves the same endpoints for the same tokens."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import ROOT
from benchmarks.data import Data
from benchmarks.works import SECRET
from servers.node import NODE, NPM
from servers.processes import ServerProcess, free_port
from servers.todo import Served, environment

OURS: Final = "ours"
BASELINE: Final = "baseline"
FASTIFY: Final = "fastify"
OURS_SQLITE: Final = "ours-sqlite"
BASELINE_SQLITE: Final = "baseline-sqlite"
FASTIFY_SQLITE: Final = "fastify-sqlite"

SAME_MEMBERS: Final = (OURS, OURS_SQLITE, FASTIFY, FASTIFY_SQLITE)
"""Contenders whose tasks have every member that the service gives a task."""

_HERE: Final = Path(__file__).parent
BASELINE_PYTHON: Final = ROOT / ".venv" / "bench" / "bin" / "python"
"""The environment with the baseline's libraries, so that `ours` runs with its users' packages only."""

_FILES: Final = ("package.json", "package-lock.json", "server.mjs", "postgres.mjs", "sqlite.mjs")


class Absent(Exception):
    """A contender cannot run here; `str()` says why."""


class Running(NamedTuple):
    """A contender that serves."""

    port: int
    pid: int


@contextmanager
def ours(data: Data, url: str | None = None) -> Iterator[Running]:
    """Run `todo serve` with its defaults on PostgreSQL, or with another database URL."""
    logs = _directory(data, OURS)
    # The log is a file, as in deployments; a pipe would have to be read by the harness.
    with Served(
        logs, TODO_DATABASE_URL=url or data.url(OURS), TODO_JWT_SECRET=SECRET, TODO_AUDIT_LOG="audit.log"
    ) as served:
        yield Running(served.port, served.process.pid)


@contextmanager
def ours_sqlite(data: Data) -> Iterator[Running]:
    """Run `todo serve` on a SQLite file."""
    with ours(data, f"sqlite:///{data.ours_sqlite}") as running:
        yield running


@contextmanager
def baseline(data: Data) -> Iterator[Running]:
    """Run FastAPI with SQLModel on PostgreSQL."""
    url = data.url(BASELINE).replace("postgresql://", "postgresql+psycopg2://")
    with _baseline(data, BASELINE, url) as running:
        yield running


@contextmanager
def baseline_sqlite(data: Data) -> Iterator[Running]:
    """Run FastAPI with SQLModel on a SQLite file."""
    with _baseline(data, BASELINE_SQLITE, f"sqlite:///{data.baseline_sqlite}") as running:
        yield running


@contextmanager
def fastify(data: Data) -> Iterator[Running]:
    """Run Fastify on PostgreSQL; Absent if npm cannot install the packages."""
    with _fastify(data, FASTIFY, data.url(FASTIFY)) as running:
        yield running


@contextmanager
def fastify_sqlite(data: Data) -> Iterator[Running]:
    """Run Fastify on a SQLite file; Absent if npm cannot install the packages."""
    with _fastify(data, FASTIFY_SQLITE, f"sqlite://{data.fastify_sqlite}") as running:
        yield running


CONTENDERS: Final[dict[str, Callable[[Data], AbstractContextManager[Running]]]] = {
    OURS: ours,
    BASELINE: baseline,
    FASTIFY: fastify,
    OURS_SQLITE: ours_sqlite,
    BASELINE_SQLITE: baseline_sqlite,
    FASTIFY_SQLITE: fastify_sqlite,
}


@contextmanager
def _baseline(data: Data, name: str, url: str) -> Iterator[Running]:
    if not BASELINE_PYTHON.exists():
        raise Absent("its libraries are not installed: make .venv/bench-installed")
    options = ["--no-access-log", "--port", "PORT", "--app-dir"]
    command: list[str | Path] = [BASELINE_PYTHON, "-m", "uvicorn", "baseline_app:app", *options, _HERE]
    with _process(data, name, command, DATABASE_URL=url, JWT_SECRET=SECRET) as running:
        yield running


@contextmanager
def _fastify(data: Data, name: str, url: str) -> Iterator[Running]:
    secrets = {"DATABASE_URL": url, "JWT_SECRET": SECRET, "NODE_ENV": "production"}
    with _process(data, name, [NODE, _installed() / "server.mjs"], **secrets) as running:
        yield running


@contextmanager
def _process(data: Data, name: str, command: Sequence[str | Path], **settings: str) -> Iterator[Running]:
    port = free_port()
    arguments = [str(port) if part == "PORT" else part for part in command]
    env = environment(**settings, PORT=str(port))
    with ServerProcess(arguments, logs=_directory(data, name), name=name, env=env) as process:
        process.wait_for_port(port)
        yield Running(port, process.pid)


def _directory(data: Data, name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=data.directory))


def _installed() -> Path:
    """Return the directory with Fastify's program and packages, installed once for each user and lock."""
    source = _HERE / "fastify"
    contents = b"".join((source / name).read_bytes() for name in _FILES)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "todo-bench"
    installed = cache / f"fastify-{hashlib.sha256(contents).hexdigest()[:16]}"
    if not installed.exists():
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as directory:
            making = Path(directory) / "making"
            making.mkdir()
            for name in _FILES:
                shutil.copy(source / name, making)
            command: list[str | Path] = [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            ran = subprocess.run(command, cwd=making, capture_output=True, text=True, check=False)
            if ran.returncode:
                raise Absent(f"npm could not install it: {ran.stderr.strip()[-300:]}")
            making.rename(installed)
    return installed
