"""The time until the service is ready, and the memory of its process."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import Final

from benchmarks import contenders, cpu, works
from benchmarks.data import Data
from benchmarks.load import send

_TIMES: Final = 7
_IMPORT: Final = "import time; t = time.perf_counter(); import todo_domain; print(time.perf_counter() - t)"
_LOAD_SECONDS: Final = 5.0


def import_time() -> float:
    """Return the milliseconds that a new interpreter needs to import the domain: the median of several runs."""
    outputs = [
        subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True).stdout
        for _ in range(_TIMES)
    ]
    return median(map(float, outputs)) * 1000


def ready_time(data: Data, url: str) -> float:
    """Return the seconds from the start of `todo serve` until it is ready: the median of several runs."""
    taken = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        with contenders.ours(data, url):
            taken.append(time.perf_counter() - begun)
    return median(taken)


def idle_memory(data: Data, url: str) -> float | None:
    """Return the resident memory of the ready process in MiB."""
    with contenders.ours(data, url) as running:
        return cpu.resident(running.pid)


def loaded_memory(data: Data, url: str) -> float | None:
    """Return the resident memory in MiB after some seconds of mixed load over 64 connections."""
    file = data.directory / "loaded.requests"
    file.write_bytes(works.encoded(works.requests(works.WORKS["mixed"])))
    with contenders.ours(data, url) as running:
        send(running.port, file, connections=64, seconds=_LOAD_SECONDS, number=1)
        return cpu.resident(running.pid)
