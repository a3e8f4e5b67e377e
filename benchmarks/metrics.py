"""What counting costs a request: the calls that it adds, timed one by one, with one worker and with several.

.venv/bin/python benchmarks/metrics.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from time import perf_counter
from timeit import repeat
from typing import Any, Final, cast

from todo_domain import Tasks

TIMES: Final = 100_000
SEVERAL: Final = "PROMETHEUS_MULTIPROC_DIR"


class Store:
    """A store whose calls cost nothing."""

    async def get(self, *_: object) -> None:
        """Return at once."""

    create = page = replace = toggle = delete = changes = check = get


def microseconds(call: Callable[[], object]) -> float:
    """Return the least that one call takes."""
    return min(repeat(call, number=TIMES, repeat=7)) / TIMES * 1e6


def measure() -> None:
    """Print what is added where a request comes in, where its caller is known, and around the store."""
    from todo_adapters.observability.metrics import Metrics  # noqa: PLC0415  chooses at import how to count

    metrics, store = Metrics(), cast("Tasks", Store())
    timed = metrics.timed(store)

    def edge() -> None:
        begun = perf_counter()
        metrics.in_flight += 1
        metrics.in_flight -= 1
        metrics.answered("GET", "/api/{user_id}/tasks/{id}", 200, perf_counter() - begun)

    def run(get: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        with suppress(StopIteration):
            get("ann", 1).send(None)

    nothing = microseconds(lambda: None)
    parts = {
        "the answer": microseconds(edge) - nothing,
        "the caller": microseconds(lambda: metrics.called("ok")) - nothing,
        "the store": microseconds(lambda: run(timed.get)) - microseconds(lambda: run(store.get)),
    }
    told = ", ".join(f"{name} {cost:.1f}" for name, cost in parts.items())
    print(f"{'several workers' if SEVERAL in os.environ else 'one worker'}: {sum(parts.values()):.1f} µs ({told})")


if __name__ == "__main__":
    measure()
    if SEVERAL not in os.environ:
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run([sys.executable, __file__], env=os.environ | {SEVERAL: directory}, check=True)
