"""`todo serve` on SQLite, as a newcomer meets it: what it prints, keeps and refuses, and how soon it is there."""

import json
import os
import resource
import shlex
import socket
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

import pytest

from servers import todo as processes
from servers.todo import Reply, Served, token_for
from support.command import todo
from todo_app.server import connections

SECRET = "0123456789abcdef0123456789abcdef"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Lives:
    """What a newcomer does with a service in an empty directory, and with the next one there."""

    secret_mode: int
    pasted: str
    made: Reply
    read_later: Reply
    seconds_to_start: float
    status: int
    log: str


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    directory = tmp_path_factory.mktemp("newcomer")
    with Served(directory) as served:
        line = next(line for line in served.process.stdout.splitlines() if line.startswith("curl "))
        ran = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True, timeout=20)
        token = todo("token", "--user", "ann", cwd=directory).stdout.strip()
        made = served.request("POST", "/api/ann/tasks", token, {"title": "Buy groceries"})
    mode = stat.S_IMODE((directory / "todo.db.secret").stat().st_mode)
    with Served(directory, new_process=True) as served:
        spent = Path(f"/proc/{served.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        read_later = served.request("GET", f"/api/ann/{made.headers['location']}", token)
    seconds = sum(map(int, spent)) / TICKS
    return Lives(mode, ran.stdout, made, read_later, seconds, served.process.stop(), served.process.stderr)


def test_the_printed_curl_line_works_when_pasted(lives):
    assert lives.pasted.startswith("HTTP/1.1 201 Created")


def test_the_secret_made_for_this_machine_is_for_its_owner_only(lives):
    assert lives.secret_mode == 0o600


def test_tasks_and_tokens_survive_a_restart(lives):
    assert lives.read_later.status == 200
    assert lives.read_later.body == lives.made.body


def test_a_start_takes_little_of_a_processor(lives):
    """What it spends until it is ready, which a neighbour at most doubles; 0.9 s where this was written."""
    assert lives.seconds_to_start < 3


def test_sigterm_ends_it_without_a_stack(lives):
    assert lives.status in {0, -15}
    assert "Traceback" not in lives.log


def _refused(tmp_path, *arguments, **settings):
    ran = todo("serve", *arguments, cwd=tmp_path, **settings)
    assert ran.returncode == 1
    sentence = ran.stderr.strip().splitlines()[-1]
    assert sentence.startswith("todo: ")
    assert "Traceback" not in ran.stderr
    return sentence


def test_a_taken_port_is_said_in_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = processes.todo("serve", "--port", port, cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith(f"todo: port {port} on 127.0.0.1 is taken")
    assert "Traceback" not in ran.stderr


def test_a_file_that_is_no_database_is_said_in_one_sentence_and_left_alone(tmp_path):
    (tmp_path / "notes.db").write_text("Dear expectations, this is no database at all. " * 50)
    before = (tmp_path / "notes.db").read_bytes()
    assert "notes.db" in _refused(tmp_path, "--database-url", "sqlite:///notes.db")
    assert (tmp_path / "notes.db").read_bytes() == before


def test_a_directory_that_does_not_exist_is_said_in_one_sentence(tmp_path):
    assert "nowhere" in _refused(tmp_path, "--database-url", "sqlite:///nowhere/todo.db")


def test_a_host_that_others_can_reach_needs_a_secret(tmp_path):
    assert "TODO_JWT_SECRET" in _refused(tmp_path, "--host", "0.0.0.0")


def test_a_host_that_is_not_this_machine_is_said_in_one_sentence(tmp_path):
    sentence = _refused(
        tmp_path, TODO_HOST="192.0.2.1", TODO_JWT_SECRET=token_urlsafe(48)
    )  # reserved for examples (RFC 5737)
    assert "TODO_HOST must be an address of this machine, not '192.0.2.1'" in sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f'TODO_JWT_SECRET={SECRET}\n\nTODO_JWT_AUDIENCE="my-api\n'.encode(), ".env, line 3, must be NAME=value"),
        (b"TODO_PORT\n", ".env, line 1, must be NAME=value"),
        ("TODO_PORT=8000\n".encode("utf-16"), ".env must be UTF-8"),
        (b"TODO_HOST=\xfc\n", ".env must be UTF-8"),
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("doctor",), ("token", "--user", "ann"), ("migrate",)])
def test_an_env_file_with_a_line_that_sets_nothing_is_refused(tmp_path, command, text, sentence):
    (tmp_path / ".env").write_bytes(text)
    ran = todo(*command, cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert sentence in ran.stderr


def test_an_env_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfTODO_PORT=http\n")
    assert "TODO_PORT" in todo("doctor", cwd=tmp_path).stderr


def test_a_directory_named_like_the_env_file_is_left_alone(tmp_path):
    (tmp_path / ".env").mkdir()
    assert todo("doctor", cwd=tmp_path).returncode == 0


def test_doctor_notes_a_name_that_is_nearly_that_of_a_setting(tmp_path):
    ran = todo("doctor", cwd=tmp_path, TODO_WORKER="3", TODO_SERVICE_HOST="10.0.0.1", TODO_PORT_8000_TCP="tcp://…")
    assert ran.returncode == 0
    notes = [line for line in ran.stdout.splitlines() if line.startswith("note  settings")]
    assert notes == ["note  settings: TODO_WORKER is not a setting and has no effect: use TODO_WORKERS"]


def test_the_start_warns_of_a_name_that_is_nearly_that_of_a_setting(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = todo("serve", cwd=tmp_path, TODO_WORKER="3", TODO_PORT=str(taken.getsockname()[1]))
    assert "TODO_WORKER is not a setting and has no effect: use TODO_WORKERS" in ran.stderr


@pytest.mark.parametrize(
    ("settings", "secret", "sentence"),
    [
        ({"TODO_DATABASE_URL": "sqlite:///nowhere/todo.db"}, None, "nowhere must be a directory"),
        ({}, b"\xff", "todo.db.secret holds no secret"),
        ({"TODO_HOST": "0.0.0.0"}, None, "must be set to serve on 0.0.0.0"),
    ],
)
def test_doctor_fails_where_the_start_would(tmp_path, settings, secret, sentence):
    if secret is not None:
        (tmp_path / "todo.db.secret").write_bytes(secret)
        (tmp_path / "todo.db.secret").chmod(0o600)
    doctor = todo("doctor", cwd=tmp_path, **settings)
    assert (doctor.returncode, sentence in doctor.stdout) == (1, True), doctor.stdout
    assert todo("serve", cwd=tmp_path, **settings).returncode == 1


def test_a_limit_of_open_files_that_leaves_no_connection_stops_the_start_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, connections.OTHER_FILES))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert "raise it (ulimit -Hn)" in _refused(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_can_be_guessed_is_refused_there_before_anything_is_made(tmp_path):
    placeholder = "CHANGE-ME-TO-AT-LEAST-32-RANDOM-BYTES"
    sentence = _refused(tmp_path, TODO_HOST="0.0.0.0", TODO_JWT_SECRET=placeholder)
    assert "TODO_JWT_SECRET can be guessed" in sentence
    assert placeholder not in sentence
    assert list(tmp_path.iterdir()) == []
    doctor = todo("doctor", cwd=tmp_path, TODO_HOST="0.0.0.0", TODO_JWT_SECRET=placeholder)
    assert (doctor.returncode, "FAIL  identity: TODO_JWT_SECRET can be guessed" in doctor.stdout) == (1, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TODO_PORT", "http"),
        ("TODO_PORT", "70000"),
        ("TODO_WORKERS", "0"),
        ("TODO_DRAIN_SECONDS", "soon"),
        ("TODO_KEEP_ALIVE_SECONDS", "0"),
        ("TODO_KEEP_ALIVE_SECONDS", "3601"),
        ("PORT", "http"),
        ("TODO_DRAIN_SECONDS", "301"),
        ("TODO_JWT_SECRET", "short"),
        ("TODO_JWT_SECRET", f"{SECRET} short"),
        ("TODO_DATABASE_URL", "mysql://root@localhost/todo"),
        ("TODO_DATABASE_URL", "todo.db"),
        ("TODO_DATABASE_URL", "sqlite:///\udcff.db"),  # a byte that is not UTF-8, as Python reads it
        ("TODO_JWT_SECRET", f"{SECRET}\udcff"),
        ("TODO_CORS_ORIGINS", "https://app.example.com/"),
        ("TODO_CORS_ORIGINS", "*"),
        ("TODO_CORS_ORIGINS", "https://app.example.com,https://other.example.com"),
        ("TODO_MAX_TASKS_PER_USER", "-1"),
        ("TODO_TRUSTED_PROXIES", "proxy.example.com"),
        ("TODO_LOG_LEVEL", "loud"),
        ("TODO_JWKS_URL", "http://example.com/jwks"),
        ("TODO_HOST", "no such host"),
    ],
)
def test_a_bad_setting_is_named_in_one_sentence_without_secrets(tmp_path, name, value):
    more = {"TODO_JWT_ISSUER": "https://a", "TODO_JWT_AUDIENCE": "b"} if name == "TODO_JWKS_URL" else {}
    if name == "TODO_HOST":
        more["TODO_JWT_SECRET"] = SECRET
    sentence = _refused(tmp_path, **{name: value}, **more)
    assert name in sentence
    assert SECRET not in sentence


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_idle_connection_is_kept_for_as_long_as_the_setting_says(tmp_path, workers):
    with Served(tmp_path, "--workers", workers, TODO_KEEP_ALIVE_SECONDS="1") as served:  # the default is 65
        began = time.monotonic()
        assert _closed(served.port, seconds=20)
        assert time.monotonic() - began >= 1


def _closed(port, *, seconds):
    """Whether a connection that has had one response is closed within this time."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        response = b""
        while b'{"status":"live"}' not in response:
            response += connection.recv(4_096)
        try:
            return connection.recv(1) == b""
        except TimeoutError:
            return False


def test_an_env_file_is_read_the_environment_wins_and_the_command_line_wins_over_both(tmp_path):
    (tmp_path / ".env").write_text(f"TODO_JWT_SECRET={SECRET}\nTODO_PORT=1\nTODO_MAX_TASKS_PER_USER=1\n")
    with Served(tmp_path, TODO_PORT="2") as served:
        token = token_for("ann", SECRET)
        assert served.request("POST", "/api/me/tasks", token, {"title": "first"}).status == 201
        assert served.request("POST", "/api/me/tasks", token, {"title": "second"}).status == 409
    assert not (tmp_path / "todo.db.secret").exists()


def test_the_openapi_document_can_be_printed_without_any_setting(tmp_path):
    ran = todo("openapi", cwd=tmp_path)
    assert ran.returncode == 0
    assert json.loads(ran.stdout)["openapi"].startswith("3.1")
    assert list(tmp_path.iterdir()) == []


def test_the_served_document_names_the_limits_of_this_deployment(tmp_path):
    with Served(tmp_path, TODO_MAX_BODY_BYTES="2048", TODO_MAX_TASKS_PER_USER="7") as served:
        document = json.dumps(served.request("GET", "/openapi.json", "").body)
    assert "2,048" in document
    assert "65,536" not in document
    assert "10,000 tasks" not in document
