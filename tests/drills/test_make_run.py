"""`make run` on a terminal: Ctrl-C ends it at any moment, and a port that is taken is answered by what works there."""

import random
import shutil
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from servers import todo as processes
from servers.todo import Served, wait_until_ready

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def on_terminal(tmp_path):
    return partial(processes.on_terminal, cwd=tmp_path)


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose `.venv` is the one that runs the tests: `make run` has nothing to install."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/bin").symlink_to(Path(sys.executable).parent)
    for done in ("python", "run-installed"):
        (tmp_path / ".venv" / done).touch()


@pytest.mark.usefixtures("checkout")
@pytest.mark.parametrize("moment", ["at once", "a random moment later", "once it is ready"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_make_run_quietly(on_terminal, workers, moment):
    terminal, port = on_terminal("make", "run", TODO_WORKERS=workers)
    with terminal:
        terminal.wait_for("groceries")
        if moment == "a random moment later":  # the workers import what they need
            time.sleep(random.uniform(0, 1))
        elif moment == "once it is ready":
            wait_until_ready(port)
        before = terminal.text
        terminal.press_ctrl_c()
        assert terminal.end() in {0, 130, -2}  # a shell shows the last as 130
    assert terminal.text.removeprefix(before).strip() in {"", "^C"}


@pytest.mark.usefixtures("checkout")
def test_a_taken_port_under_make_run_is_answered_by_what_works_there(on_terminal, tmp_path):
    with Served(tmp_path) as served:
        terminal, _ = on_terminal("make", "run", TODO_PORT=str(served.port))
        with terminal:
            assert terminal.end() == 2
    assert f"port {served.port} on 127.0.0.1 is taken" in terminal.text
    assert f"or TODO_PORT={served.port + 1} make run" in terminal.text
