"""The start and the end of `todo serve` and `make run`, as a person on a terminal and a program at a pipe see it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path

import pytest

from servers.processes import free_port
from servers.terminal import Terminal
from servers.todo import TODO, Served, environment
from support.command import todo
from todo_app.connections import ServerConfig
from todo_app.server import Server

CHECKOUT = Path(__file__).parents[2]
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def on_terminal(tmp_path):
    """Starts a command on a terminal in a directory of its own, with a free port; returns both."""

    def start(*command, **settings):
        port = int(settings.setdefault("TODO_PORT", str(free_port())))
        env = environment(**settings)
        env.pop("MAKEFLAGS", None)  # of a make that runs the tests
        env.pop("MAKELEVEL", None)
        return Terminal(command, cwd=tmp_path, env=env), port

    return start


def answer_of(port, path, headers):
    """The status of a GET."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def wait_until_ready(port):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError):
            if answer_of(port, "/health/ready", {}) == 200:
                return
        time.sleep(0.05)
    raise TimeoutError


def test_on_a_terminal_the_start_is_five_readable_lines(on_terminal):
    terminal, port = on_terminal(TODO, "serve")
    with terminal:
        terminal.wait_for("groceries")
        wait_until_ready(port)
        terminal.press_ctrl_c()
        assert terminal.end() == 0
    first, tasks, tokens, docs, curl, *rest = terminal.text.splitlines()
    assert first == f"todo {version('todo')} serves http://127.0.0.1:{port}"
    assert tasks == "tasks:  sqlite:///todo.db, made now"
    assert tokens == "tokens: signed with the secret in todo.db.secret, because no TODO_JWT_SECRET is set"
    assert docs == f"docs:   http://127.0.0.1:{port}/docs"
    assert curl.startswith(f"curl -i http://127.0.0.1:{port}/api/me/tasks -H 'Authorization: Bearer ")
    assert rest in ([], ["^C"])


def test_what_a_terminal_is_told_of_a_refused_token_is_readable_and_one_line(on_terminal):
    terminal, port = on_terminal(TODO, "serve", TODO_JWT_SECRET=SECRET)
    with terminal:
        assert "tokens: checked with 1 shared secret(s)" in terminal.wait_for("/health/ready")
        wait_until_ready(port)
        assert answer_of(port, "/api/me/tasks", {"Authorization": "Bearer a.b.c"}) == 401
        terminal.wait_for("AUDIT   token_refused")
        terminal.press_ctrl_c()
        terminal.end()
    (line,) = [line for line in terminal.text.splitlines() if line.startswith("AUDIT")]
    assert "reason=malformed " in line
    assert line.endswith("peer=127.0.0.1")
    assert '{"' not in terminal.text


def test_behind_a_pipe_the_start_and_the_end_are_json(tmp_path):
    with Served(tmp_path) as served:
        pass
    lines = [json.loads(line) for line in served.process.stderr.splitlines()]
    assert [line["event"] for line in lines if "event" in line] == ["migration_applied", "start", "stop"]
    assert len(served.process.stdout.splitlines()) == 5


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
@pytest.mark.parametrize("moment", ["at once", "once it is ready"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_make_run_quietly(on_terminal, workers, moment):
    terminal, port = on_terminal("make", "run", TODO_WORKERS=workers)
    with terminal:
        terminal.wait_for("groceries")
        if moment == "once it is ready":
            wait_until_ready(port)
        before = terminal.text
        terminal.press_ctrl_c()
        assert terminal.end() in {0, 130, -2}  # a shell shows the last as 130
    assert terminal.text.removeprefix(before).strip() in {"", "^C"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_told_to_end_before_it_has_begun_ends(number):
    server = Server(ServerConfig("nowhere:app", drain_seconds=0, most_connections=1))
    server.handle_exit(number, None)
    assert server.should_exit or server._leave_at is not None


@pytest.mark.usefixtures("checkout")
def test_a_taken_port_under_make_run_is_answered_by_what_works_there(on_terminal, tmp_path):
    with Served(tmp_path) as served:
        terminal, _ = on_terminal("make", "run", TODO_PORT=str(served.port))
        with terminal:
            assert terminal.end() == 2
    assert f"port {served.port} on 127.0.0.1 is taken" in terminal.text
    assert f"or TODO_PORT={served.port + 1} make run" in terminal.text


def test_the_version_is_printed(tmp_path):
    ran = todo("--version", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, f"todo {version('todo')}\n")


# The secret made for a machine


def test_a_token_that_is_signed_with_a_new_secret_says_so_once(tmp_path):
    first, second = (todo("token", "--user", "ann", cwd=tmp_path) for _ in range(2))
    assert first.stdout.count(".") == second.stdout.count(".") == 2
    assert f"there was no secret in {tmp_path}/todo.db.secret, so a new one was made" in first.stderr
    assert first.stderr.count("\n") == 1
    assert second.stderr == ""
    assert todo("token", "--user", "ann", cwd=tmp_path, TODO_JWT_SECRET=SECRET).stderr == ""


def test_first_calls_at_once_make_one_secret(tmp_path):
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(_token_of_a_process, tmp_path) for _ in range(4)]
    tokens = [call.result() for call in calls]
    for token in tokens:
        assert todo("token", "--explain", cwd=tmp_path, given=token).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["todo.db.secret"]


def _token_of_a_process(directory):
    ran = subprocess.run(
        [TODO, "token", "--user", "ann"], cwd=directory, env=environment(), capture_output=True, text=True, check=True
    )
    return ran.stdout


@pytest.mark.parametrize("command", [("serve",), ("token", "--user", "ann")])
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o602, 0o666])
def test_a_secret_file_that_others_may_use_is_not_trusted(tmp_path, command, mode):
    (tmp_path / "todo.db.secret").write_text("s" * 43)
    (tmp_path / "todo.db.secret").chmod(mode)
    ran = todo(*command, cwd=tmp_path)
    assert ran.returncode == 1
    assert "todo.db.secret may be used by others than its owner: remove the file" in ran.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_secret_file_of_another_user_is_not_trusted(tmp_path):
    (tmp_path / "todo.db.secret").write_text("s" * 43)
    (tmp_path / "todo.db.secret").chmod(0o600)
    os.chown(tmp_path / "todo.db.secret", 65534, -1)
    ran = todo("token", "--user", "ann", cwd=tmp_path)
    assert ran.returncode == 1
    assert "todo.db.secret belongs to another user" in ran.stderr


def test_a_secret_file_that_is_no_text_is_one_sentence(tmp_path):
    (tmp_path / "todo.db.secret").write_bytes(b"\xff" * 43)
    (tmp_path / "todo.db.secret").chmod(0o600)
    ran = todo("token", "--user", "ann", cwd=tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
