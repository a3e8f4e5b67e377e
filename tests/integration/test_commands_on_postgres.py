"""`todo serve`, `migrate` and `doctor` on PostgreSQL: what is wrong is said in one sentence, without the password."""

import json
import subprocess

import pytest

from servers.todo import TODO, Served, environment, todo
from support.sql_places import PostgresDatabases

SECRET = "0123456789abcdef0123456789abcdef"
PASSWORD = "a-very-secret-password"


@pytest.fixture
def troubles(postgres_databases, postgres_database):
    """A URL for each thing that can be wrong, and a part of what is to be said of it."""
    server = postgres_databases.server
    login = PostgresDatabases.LOGIN
    return {
        "wrong password": (server.url(postgres_database, login, PASSWORD), "user or password"),
        "wrong user": (server.url(postgres_database, "nobody-at-all", PASSWORD), "user or password"),
        "no such database": (server.url("no_such_database"), "no such database"),
        "no server": (server.url(postgres_database, login, PASSWORD, port=1), "cannot be reached"),
    }


@pytest.mark.parametrize("command", ["serve", "migrate", "doctor"])
@pytest.mark.parametrize("trouble", ["wrong password", "wrong user", "no such database", "no server"])
def test_a_database_that_cannot_be_had_is_one_sentence(tmp_path, troubles, trouble, command):
    url, sentence = troubles[trouble]
    ran = todo(command, cwd=tmp_path, TODO_DATABASE_URL=url, TODO_JWT_SECRET=SECRET)
    assert ran.returncode == 1
    assert sentence in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    assert PASSWORD not in ran.stdout + ran.stderr
    assert SECRET not in ran.stdout + ran.stderr


@pytest.fixture
def empty(postgres_databases):
    """A database without a schema."""
    server = postgres_databases.server
    server.create_database("todo_without_schema", owner=PostgresDatabases.OWNER)
    yield server.url("todo_without_schema", PostgresDatabases.OWNER, PostgresDatabases.PASSWORD)
    server.drop_database("todo_without_schema")


def test_a_missing_schema_is_said_with_the_command_that_mends_it_and_migrating_mends_it(tmp_path, empty):
    settings = {"TODO_DATABASE_URL": empty, "TODO_JWT_SECRET": SECRET}
    refused = todo("serve", cwd=tmp_path, **settings)
    assert refused.returncode == 1
    assert "run todo migrate" in refused.stderr
    sick = todo("doctor", cwd=tmp_path, **settings)
    assert sick.returncode == 1
    assert "run todo migrate" in sick.stdout
    assert todo("migrate", "--check", cwd=tmp_path, **settings).returncode == 1

    assert todo("migrate", cwd=tmp_path, **settings).returncode == 0
    assert todo("migrate", "--check", cwd=tmp_path, **settings).returncode == 0
    well = todo("doctor", cwd=tmp_path, **settings)
    assert well.returncode == 0, well.stdout
    assert "row-level security" in well.stdout
    with Served(tmp_path, **settings) as served:
        assert served.request("POST", "/api/me/tasks", served.token("ann"), {"title": "x"}).status == 201


def test_a_token_is_explained_without_being_printed(tmp_path):
    token = todo("token", "--user", "ann", cwd=tmp_path).stdout.strip()
    head, _, signature = token.rpartition(".")
    foreign = todo("token", "--user", "bob", cwd=tmp_path).stdout.strip().rpartition(".")[2]
    for sent, status, word in ((token, 0, "ok"), (f"{head}.{foreign}", 1, "FAIL  signature")):
        ran = subprocess.run(
            [TODO, "token", "--explain"],
            input=sent,
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert ran.returncode == status
        assert word in ran.stdout
        assert signature not in ran.stdout + ran.stderr


def test_the_settings_in_force_are_noted_without_secrets(tmp_path, postgres_databases, postgres_database):
    url = postgres_databases.url(postgres_database)
    with Served(tmp_path, TODO_DATABASE_URL=url, TODO_JWT_SECRET=SECRET, TODO_AUDIT_LOG="audit.log"):
        pass
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "stop"]
    text = json.dumps(lines)
    assert SECRET not in text
    assert PostgresDatabases.PASSWORD not in text
