"""Runs `todo` in this process, for the output of a command: it takes milliseconds, where a process takes a second."""

import contextlib
import io
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn
from unittest.mock import patch

from servers.todo import environment
from todo_app import cli, serving

_LEVELS: Final = (None, "alembic", "httpx", "uvicorn.error")
"""The loggers whose level a command sets."""


def todo(*arguments: str, cwd: Path, given: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Do what `servers.todo.todo` does, without starting a process; `given` is what the command may read.

    AssertionError if `todo serve` gets so far as to serve: that takes a `servers.todo.Served`.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        patch.dict(os.environ, environment(**settings), clear=True),
        patch.object(sys, "stdin", io.StringIO(given)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        patch.object(serving.Server, "run", _serve),
        patch.object(serving, "run_workers", _serve),
        _logging_as_it_was(),
    ):
        try:
            status = cli.main(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        except AssertionError:
            raise
        except Exception:  # noqa: BLE001  what Python does with it at the end of a process
            traceback.print_exc()
            status = 1
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def _serve(*_: object, **__: object) -> NoReturn:
    raise AssertionError("nothing stopped the start")


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    handlers = logging.root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in _LEVELS}
    try:
        yield
    finally:
        logging.root.handlers[:] = handlers
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
