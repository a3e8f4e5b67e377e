"""What `doctor`, `migrate` and `serve` say of a database that cannot be had: the reason, but no password or host."""

import logging
import threading
from urllib.parse import quote

import pytest

from servers import pgbouncer
from servers.delay import DelayProxy
from servers.pgbouncer import PgBouncer
from servers.processes import free_port
from support.sql_places import PostgresDatabases
from todo_app import cli

SECRET = "0123456789abcdef0123456789abcdef"
PASSWORD = "Tr0ub4dor&Zq9xW"
COMMANDS = ("doctor", "migrate", "serve")


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs a command in this process, in a directory and an environment of its own: its status, and all it printed."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TODO_JWT_SECRET", SECRET)

    def command(name, url, **settings):
        monkeypatch.setenv("TODO_DATABASE_URL", url)
        for variable, value in settings.items():
            monkeypatch.setenv(variable, value)
        status = cli.main([name])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    yield command
    root.handlers[:], root.level = handlers, level


def url_of(postgres_databases, name, **changed):
    """The login's URL, with another password, port, host or user."""
    given = {
        "user": PostgresDatabases.LOGIN,
        "password": PASSWORD,
        "host": "127.0.0.1",
        "port": postgres_databases.server.port,
        "database": name,
        "parameters": "",
    } | changed
    place = ":".join(str(given[name]) for name in ("host", "port") if given[name])
    return "postgresql://{user}:{secret}@{place}/{database}{parameters}".format(
        secret=quote(given["password"], safe=""), place=place, **given
    )


TROUBLES = {
    "wrong password": ({}, 'password authentication failed for user "…"'),
    "no such user": ({"user": "nobody-at-all"}, 'password authentication failed for user "…"'),
    "no such database": (
        {"password": PostgresDatabases.PASSWORD, "database": "nowhere"},
        'no such database for this login: connection to server at "…"',
    ),
    "nobody listens": ({"port": 1}, "Connection refused"),
    "no such host": ({"host": "nosuchhost.invalid"}, "failed to resolve host '…'"),
    "no TLS": ({"parameters": "?sslmode=require"}, "server does not support SSL, but SSL was required"),
    "no TLS to verify": ({"parameters": "?sslmode=verify-full"}, "server does not support SSL, but SSL was required"),
    "a mode that is none": ({"parameters": "?sslmode=maybe"}, 'invalid sslmode value: "maybe"'),
    "two hosts": ({"port": 1, "host": "nosuchhost.invalid:1,127.0.0.1"}, "Connection refused"),
    "a socket": ({"host": "", "port": "", "parameters": "?host=/nowhere"}, "No such file or directory"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_reason_is_the_drivers_own_first_line_without_user_password_and_host(
    run, postgres_databases, postgres_database, trouble
):
    changed, reason = TROUBLES[trouble]
    for command in COMMANDS:
        status, printed = run(command, url_of(postgres_databases, postgres_database, **changed))
        assert status == 1
        assert reason in printed, printed
        for secret in (
            PASSWORD,
            quote(PASSWORD),
            PostgresDatabases.PASSWORD,
            SECRET,
            "127.0.0.1",
            "nosuchhost",
            "/nowhere",
        ):
            assert secret not in printed
        assert "Traceback" not in printed
        assert f'"{changed.get("user", PostgresDatabases.LOGIN)}"' not in printed
        assert len([line for line in printed.splitlines() if reason in line]) == 1


def test_every_host_of_several_has_its_reason(run):
    ports = [free_port(), free_port()]
    url = f"postgresql://u:p@127.0.0.1:{ports[0]},localhost:{ports[1]}/todo"
    _, printed = run("doctor", url)
    for number, port in enumerate(ports, start=1):
        assert f'host {number}: connection to server at "…", port {port} failed: Connection refused' in printed


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (
            "postgresql://app:100%sure@127.0.0.1:5432/todo",
            "TODO_DATABASE_URL has a % that does not begin a percent-encoded",
        ),
        ("postgresql://u:p@h/todo?schema=public", "TODO_DATABASE_URL has the parameter schema"),
        ("postgresql://u:p@h/todo?pgbouncer=true&connection_limit=1", "TODO_DATABASE_URL has the parameter pgbouncer"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_url_that_cannot_be_used_is_said_with_the_name_of_the_variable(run, url, says, command):
    status, printed = run(command, url)
    assert status == 1
    assert says in printed
    assert "sure" not in printed
    assert "Traceback" not in printed


@pytest.fixture
def pooler(postgres_databases, postgres_database):
    pgbouncer.require()
    logins = {PostgresDatabases.LOGIN: PostgresDatabases.PASSWORD}
    with PgBouncer(postgres_databases.server, postgres_database, logins=logins) as pooler:
        yield pooler


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ("?channel_binding=require", "channel binding"),
        ("?options=-csearch_path%3Dtodo", "unsupported startup parameter: options"),
    ],
)
def test_what_a_pooler_refuses_is_said_in_its_words(run, pooler, parameters, reason):
    for command in COMMANDS:
        status, printed = run(command, pooler.url(PostgresDatabases.LOGIN) + parameters)
        assert (status, reason in printed) == (1, True), printed
        assert PostgresDatabases.PASSWORD not in printed


def test_a_second_host_serves_where_the_first_does_not(run, postgres_databases, postgres_database):
    port = postgres_databases.server.port
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{port}"
    login = f"{PostgresDatabases.LOGIN}:{quote(PostgresDatabases.PASSWORD)}"
    url = f"postgresql://{login}@{hosts}/{postgres_database}?target_session_attrs=read-write"
    status, printed = run("doctor", url)
    assert status == 0, printed
    assert "ok    row-level security" in printed


def test_a_service_file_is_read(run, postgres_databases, postgres_database, tmp_path):
    (tmp_path / "services").write_text(
        f"[todo]\nhost=127.0.0.1\nport={postgres_databases.server.port}\ndbname={postgres_database}\n"
        f"user={PostgresDatabases.LOGIN}\npassword={PostgresDatabases.PASSWORD}\n"
    )
    status, printed = run("doctor", "postgresql:///?service=todo", PGSERVICEFILE=str(tmp_path / "services"))
    assert status == 0, printed
    status, printed = run("doctor", "postgresql:///?service=nope", PGSERVICEFILE=str(tmp_path / "services"))
    assert status == 1
    assert 'definition of service "nope" not found' in printed


def test_the_direct_url_is_looked_at_too(run, postgres_databases, postgres_database):
    direct = url_of(postgres_databases, postgres_database, port=1)
    good = postgres_databases.url(postgres_database)
    status, printed = run("doctor", good, TODO_DATABASE_DIRECT_URL=direct)
    assert status == 1
    assert "FAIL  direct URL" in printed
    assert "Connection refused" in printed


# What doctor says of databases that can be had


@pytest.fixture
def empty(postgres_databases):
    """The URL of a database without a schema."""
    server = postgres_databases.server
    server.create_database("not_migrated", owner=PostgresDatabases.OWNER)
    yield postgres_databases.url("not_migrated", PostgresDatabases.OWNER)
    server.drop_database("not_migrated")


def test_of_an_empty_database_doctor_says_that_it_is_not_migrated_and_nothing_of_row_level_security(run, empty):
    status, printed = run("doctor", empty)
    assert status == 1
    assert "FAIL  schema: the database is not migrated yet: run todo migrate" in printed
    assert "row-level security" not in printed


def test_doctor_proves_that_a_notification_arrives_and_says_where(run, postgres_databases, postgres_database, pooler):
    direct, pooled = postgres_databases.url(postgres_database), pooler.url(PostgresDatabases.LOGIN)
    status, printed = run("doctor", direct)
    assert status == 0, printed
    assert "ok    notifications: one arrived on TODO_DATABASE_URL\n" in printed
    status, printed = run("doctor", pooled)
    assert status == 0, printed
    assert "note  notifications: none arrived, so workers find each other's writes by a poll" in printed
    assert "set TODO_DATABASE_DIRECT_URL" in printed
    status, printed = run("doctor", pooled, TODO_DATABASE_DIRECT_URL=direct)
    assert status == 0, printed
    assert "ok    notifications: one arrived on TODO_DATABASE_DIRECT_URL\n" in printed


def test_doctor_waits_for_a_database_that_wakes_slowly(run, postgres_databases, postgres_database):
    port = postgres_databases.server.port
    with DelayProxy(port) as line:
        line.freeze()
        waking = threading.Timer(4, line.restore)
        waking.start()
        url = postgres_databases.url(postgres_database).replace(f":{port}/", f":{line.port}/")
        status, printed = run("doctor", url)
        waking.join()
    assert status == 0, printed


def test_files_that_others_may_use_are_noted(run, tmp_path):
    url = f"sqlite:///{tmp_path}/todo.db"
    assert run("migrate", url)[0] == 0
    for mode, notes in ((0o600, 0), (0o640, 1), (0o604, 1)):
        (tmp_path / "todo.db").chmod(mode)
        status, printed = run("doctor", url)
        assert status == 0
        assert printed.count(f"(mode {mode:04o}): run chmod 600 {tmp_path}/todo.db\n") == notes
