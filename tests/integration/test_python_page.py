"""docs/python.md is true: its programs run as they stand there, and its store passes the contract from outside."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from servers.processes import ServerProcess, free_port
from servers.todo import environment, token_for
from support.command import todo
from support.own_store import EXAMPLES, passed

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs/python.md").read_text()
SECRET = "0123456789abcdef0123456789abcdef"
SETTINGS = {"TODO_JWT_SECRET": SECRET, "TODO_DATABASE_URL": "sqlite:///todo.db"}


def program(name):
    """A program of the page, by the comment above it."""
    (found,) = re.findall(rf"<!-- {re.escape(name)} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.fixture
def uvicorn(tmp_path):
    """Serve an application of a directory by uvicorn's own command, and return its origin."""
    running = []

    def serve(*arguments):
        port = free_port()
        server = ServerProcess(
            [sys.executable, "-m", "uvicorn", *arguments, "--port", f"{port}"],
            logs=tmp_path,
            name="uvicorn",
            cwd=tmp_path,
            env=environment(**SETTINGS),
        )
        running.append(server)
        server.wait_for_port(port)
        return f"http://127.0.0.1:{port}"

    yield serve
    for server in running:
        server.stop()
        assert "Traceback" not in server.stderr


def create_and_list(base):
    """Create a task and list it below this URL; return where the new task is."""
    with httpx.Client(
        base_url=f"{base}/api/me/", headers={"Authorization": f"Bearer {token_for('ann', SECRET)}"}
    ) as ann:
        made = ann.post("tasks", json={"title": "Buy groceries"})
        assert made.status_code == 201
        assert ann.get("tasks").json() == [made.json()]
        return made.url.join(made.headers["location"])


def test_the_domain_prints_what_the_page_says(tmp_path):
    (tmp_path / "domain.py").write_text(program("domain.py"))
    (shown,) = re.findall(r"It prints:\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    ran = subprocess.run([sys.executable, "domain.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == (shown, "")


def test_a_project_of_its_own_runs_the_contract_on_the_store_of_the_examples(tmp_path):
    """Some of it; all of it is `tests/drills/test_own_store.py`."""
    assert passed(tmp_path, program("pyproject.toml"), "-k", "another_user or opened_again or batch") > 25


def test_a_store_of_ones_own_is_served(tmp_path, uvicorn):
    shutil.copy(EXAMPLES / "folder_store.py", tmp_path)
    (tmp_path / "own_store.py").write_text(program("own_store.py"))
    create_and_list(uvicorn("own_store:app"))
    assert len(list((tmp_path / "tasks").iterdir())) == 3  # the user's, the last id and the lock


def test_the_application_is_served_below_a_path(tmp_path, uvicorn):
    (tmp_path / "mounted.py").write_text(program("mounted.py"))
    assert todo("migrate", cwd=tmp_path, **SETTINGS).returncode == 0
    origin = uvicorn("mounted:app")
    assert create_and_list(f"{origin}/todo") == f"{origin}/todo/api/me/tasks/1"
    assert httpx.get(f"{origin}/todo/docs").status_code == 200
    assert httpx.get(f"{origin}/health/live").status_code == 404


def test_another_server_serves_it_by_the_factory(tmp_path, uvicorn):
    (command,) = re.findall(r"^uvicorn (.*from_environment.*)$", PAGE, re.MULTILINE)
    assert todo("migrate", cwd=tmp_path, **SETTINGS).returncode == 0
    create_and_list(uvicorn(*command.split()))
