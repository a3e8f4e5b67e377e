"""`todo copy`: move a deployment to another database."""

from __future__ import annotations

import sys

from todo_adapters.sql.copying import copy


def copy_data(origin: str, target: str) -> str:
    """Copy all data into an empty database, with a progress bar on a terminal; return a report of the copy.

    Raises SqlError and then leaves the target empty.
    """
    copied = copy(origin, target, _bar if sys.stderr.isatty() else _silent)
    numbers = ", ".join(f"{number:,} {name}" for name, number in copied.rows.items())
    return f"copied and compared: {numbers}\nsha256 of all rows, equal on both sides: {copied.digest}"


def _bar(step: str, done: int, total: int) -> None:
    width = 40 * done // max(total, 1)
    end = "\n" if done >= total else ""
    print(f"\r{step:9} [{'#' * width:40}] {done:,} of {total:,} rows", end=end, file=sys.stderr, flush=True)


def _silent(*_: object) -> None:
    """Print nothing: standard error is not a terminal."""
