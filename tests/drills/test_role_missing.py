"""A PostgreSQL that lacks the role of the service, and a login that may not act as it."""

import pytest

from servers.postgres import PostgresServer
from servers.todo import Served, token_for
from support.command import todo
from todo_adapters.sql.migrations import upgrade

SECRET = "0123456789abcdef0123456789abcdef"
MISSING = (
    "the role todo_app is missing: run todo migrate, or if the database was restored without the role, create the role"
    " and restore the database again"
)


@pytest.fixture(scope="module")
def server():
    with PostgresServer() as server:
        yield server


def test_the_commands_name_the_role_that_is_missing_in_one_sentence(server, tmp_path):
    server.create_database("todo_empty")
    for command in (["erase", "--user", "ann"], ["purge"], ["renew"], ["doctor"], ["serve"]):
        ran = todo(*command, cwd=tmp_path, TODO_DATABASE_URL=server.url("todo_empty"), TODO_JWT_SECRET=SECRET)
        assert ran.returncode == 1
        assert "Traceback" not in ran.stderr
        assert "migrate" in ran.stdout + ran.stderr


def test_a_service_whose_role_is_dropped_answers_503_with_the_remedy_and_logs_no_error(server, tmp_path):
    server.create_database("todo_dropped")
    url = server.url("todo_dropped")
    upgrade(url)
    token = token_for("ann", SECRET)
    with Served(tmp_path, TODO_DATABASE_URL=url, TODO_JWT_SECRET=SECRET) as served:
        assert served.request("POST", "/api/me/tasks", token, {"title": "x"}).status == 201
        server.execute("DROP OWNED BY todo_app; DROP ROLE todo_app", database="todo_dropped")
        for method, path, body in (
            ("GET", "/api/me/tasks", None),
            ("POST", "/api/me/tasks", {"title": "x"}),
            ("PUT", "/api/me/tasks/1", {"title": "y"}),
            ("PATCH", "/api/me/tasks/1/complete", None),
            ("DELETE", "/api/me/tasks/1", None),
            ("GET", "/api/me/changes", None),
            ("GET", "/health/ready", None),
        ):
            refused = served.request(method, path, token, body)
            assert (refused.status, refused.body["error"]) == (503, MISSING), path


def test_a_login_that_may_not_act_as_the_role_is_told_which_right_it_needs(server, tmp_path):
    server.create_database("todo_ungranted")
    upgrade(server.url("todo_ungranted"))
    server.create_role("without_grant", "right")
    url = server.url("todo_ungranted", "without_grant", "right")
    for command in (["serve"], ["doctor"], ["migrate", "--check"]):
        ran = todo(*command, cwd=tmp_path, TODO_DATABASE_URL=url, TODO_JWT_SECRET=SECRET)
        assert ran.returncode == 1
        assert "have an administrator grant todo_app to it" in ran.stdout + ran.stderr
        assert "change the schema" not in ran.stdout + ran.stderr
    assert "may not change the schema" in todo("migrate", cwd=tmp_path, TODO_DATABASE_URL=url).stderr
