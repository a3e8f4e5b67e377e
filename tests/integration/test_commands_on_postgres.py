"""`todo serve`, `migrate` and `doctor` on PostgreSQL: what is wrong is said in one sentence, without the password."""

import json
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from servers.todo import Reply, Served, token_for
from support.command import todo
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


@pytest.fixture(scope="module")
def empty(postgres_databases):
    """A database without a schema, by the login that migrates it."""
    server = postgres_databases.server
    server.create_database("todo_without_schema", owner=PostgresDatabases.OWNER)
    yield server.url("todo_without_schema", PostgresDatabases.OWNER, PostgresDatabases.PASSWORD)
    server.drop_database("todo_without_schema")


@pytest.fixture(scope="module")
def migrated(empty, tmp_path_factory):
    """The same after `todo migrate`, which everything asked for before."""
    directory, settings = tmp_path_factory.mktemp("migrated"), {"TODO_DATABASE_URL": empty, "TODO_JWT_SECRET": SECRET}
    refused = todo("serve", cwd=directory, **settings)
    assert refused.returncode == 1
    assert "run todo migrate" in refused.stderr
    sick = todo("doctor", cwd=directory, **settings)
    assert sick.returncode == 1
    assert "run todo migrate" in sick.stdout
    assert todo("migrate", "--check", cwd=directory, **settings).returncode == 1
    assert todo("migrate", cwd=directory, **settings).returncode == 0
    return empty


@dataclass
class Life:
    """What a service did and left, from its start to its stop."""

    made: Reply
    numbers: dict[tuple[str, ...], float]
    directories: list[str]
    log: list[dict]


@pytest.fixture(scope="module")
def life(migrated, tmp_path_factory):
    directory = tmp_path_factory.mktemp("life")
    settings = {"TODO_DATABASE_URL": migrated, "TODO_DATABASE_POOL_SIZE": "3", "TODO_JWT_SECRET": SECRET}
    with Served(directory, TMPDIR=str(directory), TODO_AUDIT_LOG="audit.log", **settings) as served:
        made = served.request("POST", "/api/me/tasks", token_for("ann", SECRET), {"title": "x"})
        families = list(text_string_to_metric_families(served.text("/metrics")))
        directories = [path.name for path in directory.iterdir() if path.is_dir()]
    numbers = {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }
    return Life(made, numbers, directories, [*map(json.loads, (directory / "audit.log").read_text().splitlines())])


def test_migrating_mends_what_lacks_a_schema(life, migrated, tmp_path):
    settings = {"TODO_DATABASE_URL": migrated, "TODO_JWT_SECRET": SECRET}
    assert todo("migrate", "--check", cwd=tmp_path, **settings).returncode == 0
    well = todo("doctor", cwd=tmp_path, **settings)
    assert well.returncode == 0, well.stdout
    assert "row-level security" in well.stdout
    assert life.made.status == 201


def test_the_settings_in_force_are_noted_without_secrets(life):
    assert [line["event"] for line in life.log] == ["start", "stop"]
    text = json.dumps(life.log)
    assert SECRET not in text
    assert PostgresDatabases.PASSWORD not in text


def test_the_connections_to_postgresql_are_counted(life):
    idle, busy = (life.numbers["todo_database_connections", state] for state in ("idle", "busy"))
    assert idle >= 2  # one for short reads, one for writes
    assert idle + busy <= 3  # and the one on which a notification is sent to prove that it arrives
    assert life.numbers[("todo_database_connections_limit",)] == 3
    assert life.numbers[("todo_database_callers_waiting",)] == 0


def test_one_worker_has_its_numbers_in_itself(life):
    assert sum(value for (name, *_), value in life.numbers.items() if name == "todo_workers") == 1
    assert life.numbers[("process_open_fds",)] > 0
    assert life.directories == []


def test_a_token_is_explained_without_being_printed(tmp_path):
    token = todo("token", "--user", "ann", cwd=tmp_path).stdout.strip()
    head, _, signature = token.rpartition(".")
    foreign = todo("token", "--user", "bob", cwd=tmp_path).stdout.strip().rpartition(".")[2]
    for sent, status, word in ((token, 0, "ok"), (f"{head}.{foreign}", 1, "FAIL  signature")):
        ran = todo("token", "--explain", cwd=tmp_path, given=sent)
        assert ran.returncode == status
        assert word in ran.stdout
        assert signature not in ran.stdout + ran.stderr
