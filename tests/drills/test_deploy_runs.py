"""compose.yaml and deploy/nginx.conf at work: the same files and steps, on processes of this machine."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest
import yaml

from servers import binaries, pgbouncer, scratch
from servers.nginx import proxying
from servers.postgres import PostgresServer
from servers.processes import LOOPBACK, ServerProcess, free_port
from servers.todo import Served, todo
from support.length import LONG

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
SECRET = "0123456789abcdef0123456789abcdef"
LOGIN_PASSWORD = "f" * 64


# compose.yaml


@contextmanager
def pooled(server):
    """PgBouncer as compose.yaml starts it, but for the addresses and the place of the file with the passwords."""
    directory, port = scratch.create(), free_port()
    (directory / "users.txt").write_text(f'"todo_login" "{LOGIN_PASSWORD}"\n')
    text = (DEPLOY / "pgbouncer.ini").read_text()
    for shipped, here in (
        ("host=postgres port=5432", f"host={LOOPBACK} port={server.port}"),
        ("listen_addr = *", f"listen_addr = {LOOPBACK}"),
        ("listen_port = 6432", f"listen_port = {port}"),
        ("/tmp/users.txt", str(directory / "users.txt")),
    ):
        assert shipped in text
        text = text.replace(shipped, here)
    (directory / "todo.ini").write_text(text)
    if account := scratch.unprivileged():
        account.own(directory)
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    command = [program, directory / "todo.ini"]
    try:
        with ServerProcess(command, logs=directory, name="pgbouncer", cwd=directory, account=account) as process:
            process.wait_for_port(port)
            yield port
    finally:
        scratch.remove(directory)


@pytest.fixture(scope="module")
def composed(tmp_path_factory):
    """The stack of compose.yaml: login role, migration job, PgBouncer, service; with the server beside it."""
    pgbouncer.require()
    if binaries.find().major < 16:
        pytest.skip("compose.yaml brings PostgreSQL 18, and its login needs a grant that 16 was the first to know")
    directory = tmp_path_factory.mktemp("composed")
    services = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())["services"]
    with PostgresServer() as server:
        server.create_database("todo")
        given = {"POSTGRES_DB": "todo", "TODO_LOGIN_PASSWORD": LOGIN_PASSWORD}
        where = {"PGHOST": LOOPBACK, "PGPORT": str(server.port), "PGPASSWORD": server.password}
        path = f"{binaries.find().directory}:{os.environ['PATH']}"
        subprocess.run(
            ["sh", DEPLOY / "postgres-login.sh"],
            env=binaries.environment() | given | where | {"PATH": path},
            check=True,
            capture_output=True,
            timeout=60,
        )
        with pooled(server) as port:

            def settings(service):
                text = json.dumps({name: str(value) for name, value in services[service]["environment"].items()})
                for name, here in (
                    ("${POSTGRES_PASSWORD:?}", server.password),
                    ("${TODO_LOGIN_PASSWORD:?}", LOGIN_PASSWORD),
                    ("${TODO_JWT_SECRET:?}", SECRET),
                    ("@postgres:5432", f"@{LOOPBACK}:{server.port}"),
                    ("@pgbouncer:6432", f"@{LOOPBACK}:{port}"),
                ):
                    text = text.replace(name, here)
                return json.loads(text)

            too_early = todo("serve", cwd=directory, **settings("todo"))
            migrated = todo(*services["migrate"]["command"], cwd=directory, **settings("migrate"))
            assert migrated.returncode == 0, migrated.stderr
            with Served(directory, **settings("todo")) as served:
                yield server, served, too_early


def test_the_composed_service_keeps_tasks_through_the_pooler(composed):
    _, served, _ = composed
    token = served.token("ann")
    for number in range(20):
        assert served.request("POST", "/api/me/tasks", token, {"title": f"{number}"}).status == 201
    assert len(served.request("GET", "/api/me/tasks", token).body) == 20
    assert served.request("GET", "/api/me/tasks", served.token("bob")).body == []


def test_the_composed_service_waits_for_the_migration_with_a_sentence(composed):
    _, _, too_early = composed
    assert too_early.returncode == 1
    assert "todo migrate" in too_early.stderr
    assert "Traceback" not in too_early.stderr


def test_the_login_of_the_composed_service_sees_no_table_but_as_todo_app(composed):
    server, served, _ = composed
    served.request("POST", "/api/me/tasks", served.token("eve"), {"title": "mine"})
    with psycopg.connect(server.url("todo", "todo_login", LOGIN_PASSWORD), autocommit=True) as login:
        for table in ("users", "tasks", "tombstones", "trash", "idempotency_keys", "todo_alembic_version"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                login.execute(f"SELECT 1 FROM {table}")
        login.execute("SET ROLE todo_app")
        assert login.execute("SELECT count(*) FROM tasks").fetchone() == (0,)


def test_the_doctor_finds_the_composed_service_well(composed):
    _, served, _ = composed
    ran = todo("doctor", cwd=served.directory, **served.settings)
    assert ran.returncode == 0, ran.stdout
    assert "FAIL" not in ran.stdout


# deploy/nginx.conf


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """The service behind nginx with the shipped configuration; its deadlines of ten seconds are one here."""
    directory = tmp_path_factory.mktemp("proxied")
    brief = {f"client_{what}_timeout 10s": f"client_{what}_timeout 1s" for what in ("header", "body")}
    with (
        Served(directory, TODO_JWT_SECRET=SECRET, TODO_TRUSTED_PROXIES=LOOPBACK) as served,
        proxying(directory, served.port, changes=brief) as port,
    ):
        yield served, port


def ask(port, method, path, token=None, body=None, **headers):
    """Status, headers and body of a response that comes through the proxy."""
    connection = HTTPConnection(LOOPBACK, port, timeout=20)
    try:
        given = {"Authorization": f"Bearer {token}"} if token else {}
        given |= {"Content-Type": "application/json"} if body is not None else {}
        connection.request(
            method, path, body, given | {name.replace("_", "-"): value for name, value in headers.items()}
        )
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_the_contract_holds_behind_the_proxy(proxied):
    served, port = proxied
    token = served.token("ann")
    status, headers, body = ask(port, "POST", "/api/me/tasks", token, '{"title": "x"}', X_Request_ID="mine")
    assert (status, headers["Location"], headers["X-Request-ID"]) == (
        201,
        f"tasks/{json.loads(body)['id']}",
        "mine",
    )
    status, headers, _ = ask(port, "GET", f"/api/me/{headers['Location']}", token)
    assert (status, headers["ETag"]) == (200, f'"{json.loads(body)["revision"]}"')
    # The service's own refusals, in its own shape.
    for code, asked in (
        (431, ("GET", "/api/me/tasks", "x" * 17_000)),
        (413, ("POST", "/api/me/tasks", token, json.dumps({"title": "x" * 70_000}))),
    ):
        status, _, body = ask(port, *asked)
        assert (status, json.loads(body)["code"]) == (code, "too_large")


def test_the_numbers_are_not_for_the_proxys_clients(proxied):
    _, port = proxied
    assert ask(port, "GET", "/metrics")[0] == 404
    assert ask(port, "GET", "/health/ready")[0] == 200


def test_the_audit_log_names_the_address_that_the_proxy_saw_not_what_a_client_claims(proxied):
    served, port = proxied
    assert (
        ask(port, "GET", "/api/me/tasks", "no.valid.token", X_Forwarded_For="6.6.6.6", X_Request_ID="forged")[0] == 401
    )
    served.process.wait_until(lambda: '"forged"' in served.process.stderr, seconds=5)
    (line,) = [json.loads(line) for line in served.process.stderr.splitlines() if '"forged"' in line]
    assert line["peer"] == "127.0.0.1"


def let_go(connection):
    """Whether the proxy ends a connection within five seconds."""
    connection.settimeout(5)
    try:
        return connection.recv(4096)[:12] in {b"", b"HTTP/1.1 408"}
    except ConnectionResetError:
        return True


def test_slow_clients_are_let_go_at_the_deadline_and_keep_nobody_waiting(proxied):
    served, port = proxied
    token = served.token("ann")
    head = f"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    slow_head = [socket.create_connection((LOOPBACK, port)) for _ in range(40)]
    slow_body = [socket.create_connection((LOOPBACK, port)) for _ in range(40)]
    try:
        for one in slow_head:
            one.sendall(head.encode())
        for one in slow_body:
            one.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{".encode())
        time.sleep(0.3)
        numbers = subprocess.run(["curl", "-s", f"{served.origin}/metrics"], capture_output=True, text=True, check=True)
        assert re.search(r"^todo_http_requests_in_flight (\d+)", numbers.stdout, re.MULTILINE)[1] == "1"
        begun = time.monotonic()
        took = []
        while time.monotonic() < begun + 1:
            asked = time.monotonic()
            assert ask(port, "GET", "/api/me/tasks", token)[0] == 200
            took.append(time.monotonic() - asked)
        assert all(let_go(one) for one in slow_head + slow_body)
    finally:
        for one in slow_head + slow_body:
            one.close()
    assert sorted(took)[len(took) // 2] < (0.1 if LONG else 0.5)  # in the short form three other drills run


def test_while_the_service_is_away_the_proxy_says_so_in_the_same_shape(proxied):
    served, port = proxied
    served.process.stop()
    for method in ("GET", "POST"):
        status, headers, body = ask(port, method, "/api/me/tasks", "x", None if method == "GET" else "{}")
        assert (status, headers["Retry-After"], headers["Content-Type"]) == (503, "1", "application/json")
        said = json.loads(body)
        assert (said["code"], said.get("outcome")) == ("unavailable", None)  # nothing was sent to it
        assert said["request_id"]
