"""The start and the end of `todo serve`, as a person on a terminal and a program at a pipe see it."""

import json
import os
import signal
from functools import partial
from importlib.metadata import version

import httpx
import pytest

from servers import todo as processes
from servers.forked import ForkedProcess
from servers.todo import TODO, Served, environment, wait_until_ready
from support.command import todo
from todo_app.server.connections import ServerConfig
from todo_app.server.server import Server

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def on_terminal(tmp_path):
    return partial(processes.on_terminal, cwd=tmp_path)


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
        url, headers = f"http://127.0.0.1:{port}/api/me/tasks", {"Authorization": "Bearer a.b.c"}
        assert httpx.get(url, headers=headers, verify=False).status_code == 401
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_is_told_to_end_before_it_has_begun_ends(number):
    server = Server(ServerConfig("nowhere:app", drain_seconds=0, most_connections=1))
    server.handle_exit(number, None)
    assert server.should_exit or server._leave_at is not None


def test_the_version_is_printed(tmp_path):
    ran = todo("--version", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, f"todo {version('todo')}\n")


# The secret made for a machine


def test_a_token_that_is_signed_with_a_new_secret_says_so_once(tmp_path):
    first, second = (todo("token", "--user", "ann", cwd=tmp_path) for _ in range(2))
    assert first.stdout.count(".") == second.stdout.count(".") == 2
    assert f"{tmp_path}/todo.db.secret did not exist, so a new secret was made" in first.stderr
    assert first.stderr.count("\n") == 1
    assert second.stderr == ""
    assert todo("token", "--user", "ann", cwd=tmp_path, TODO_JWT_SECRET=SECRET).stderr == ""


@pytest.mark.parametrize("arguments", [["--explain"], ["--user", "ann", "--ttl", "0"]])
def test_a_command_that_signs_no_token_makes_no_secret(tmp_path, arguments):
    assert todo("token", *arguments, cwd=tmp_path, given="undefined").returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_first_calls_at_once_make_one_secret(tmp_path):
    directory = tmp_path / "theirs"
    directory.mkdir()
    command, env = [TODO, "token", "--user", "ann"], environment()
    calls = [ForkedProcess(command, logs=tmp_path, name=f"{number}", cwd=directory, env=env) for number in range(4)]
    for call in calls:
        call.wait_until(lambda call=call: not call.running)
        assert call.stop() == 0, call.stderr
        assert todo("token", "--explain", cwd=directory, given=call.stdout).returncode == 0
    assert [path.name for path in directory.iterdir()] == ["todo.db.secret"]


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


def test_a_directory_that_is_missing_is_blamed_on_the_setting_that_names_it(tmp_path):
    ran = todo("serve", cwd=tmp_path, TODO_DATABASE_URL="sqlite:///nowhere/todo.db")
    assert ran.returncode == 1
    assert ran.stderr == (
        "todo: TODO_DATABASE_URL: nowhere must be a directory that this user may write to: No such file or directory\n"
    )


def test_a_secret_file_that_is_no_text_is_one_sentence(tmp_path):
    (tmp_path / "todo.db.secret").write_bytes(b"\xff" * 43)
    (tmp_path / "todo.db.secret").chmod(0o600)
    ran = todo("token", "--user", "ann", cwd=tmp_path)
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
