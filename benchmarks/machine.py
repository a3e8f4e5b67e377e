"""The machine and the versions of a measurement, without names and paths."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks import ROOT
from benchmarks.contenders import BASELINE_PYTHON
from servers.node import NODE

_OURS: Final = ("todo", "uvicorn", "uvloop", "httptools", "litestar", "msgspec", "psycopg", "PyJWT", "SQLAlchemy")
_BASELINE: Final = ("fastapi", "sqlmodel", "SQLAlchemy", "psycopg2-binary", "pydantic", "PyJWT", "uvicorn", "uvloop")


def machine() -> str:
    """Return the processor, the cores that may be used, the memory and the system."""
    return f"{_processor()}, {_cores()} cores, {_memory()} GiB, {_system()}"


def software(database: str, *, compared: bool) -> list[str]:
    """Return the versions of all measured programs; `database` is PostgreSQL's version string."""
    lines = [
        f"{interpreter()}, {_short(database)}, {generator()}",
        f"ours: {', '.join(f'{name} {version(name)}' for name in _OURS)}",
    ]
    if compared:
        lines.append(f"baseline: {_baseline_versions()}")
        lines.append(f"Fastify: {_fastify_versions()}")
    return lines


def interpreter() -> str:
    """Return which Python runs the service, and how it was configured: an optimised build is 5 to 14% faster.

    Distributions optimise theirs by rules of their own, which Python does not report.
    """
    given = sysconfig.get_config_var("CONFIG_ARGS") or ""
    options = [option for option in ("--enable-optimizations", "--with-lto") if option in given]
    configured = f"with {' '.join(options)}" if options else "without --enable-optimizations"
    if not options and sys.base_prefix == "/usr":
        configured = "by the distribution"
    return f"{platform.python_implementation()} {platform.python_version()} configured {configured}"


def generator() -> str:
    """Return the name of the load generator."""
    output = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    number = re.search(r"wrk (?:debian/)?([\d.]+)", output.stdout + output.stderr)
    return f"wrk {number[1] if number else ''} as load generator"


def _short(database: str) -> str:
    return " ".join(database.split()[:2])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _system() -> str:
    number = re.match(r"\d+(\.\d+)?", platform.release())  # the rest may name the machine
    return f"{platform.system()} {number[0] if number else ''}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


@cache
def _baseline_versions() -> str:
    program = f"from importlib.metadata import version\nfor name in {_BASELINE}: print(name, version(name))"
    if not BASELINE_PYTHON.exists():
        return "not installed"
    output = subprocess.run([BASELINE_PYTHON, "-c", program], capture_output=True, text=True, check=False).stdout
    return ", ".join(output.splitlines())


@cache
def _fastify_versions() -> str:
    output = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    package = (ROOT / "benchmarks" / "contenders" / "fastify" / "package.json").read_text()
    versions = re.findall(r'"([@\w/-]+)": "(\d[\d.]*)"', package)
    return ", ".join([f"Node.js {output.removeprefix('v')}", *(f"{name} {number}" for name, number in versions)])
