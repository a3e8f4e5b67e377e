"""`todo doctor --attack`: it finds nothing on a deployment that holds, and every hole of one that does not."""

import json
import re
import secrets
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

from servers.todo import Served, token_for
from support.command import todo
from todo_app.commands.attack import attack
from todo_app.settings import Settings

SECRET = "0123456789abcdef0123456789abcdef"


def two():
    return tuple(token_for(f"user {secrets.token_hex(4)}/é", SECRET) for _ in range(2))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    directory = tmp_path_factory.mktemp("attacked")
    with Served(directory, TODO_JWT_SECRET=SECRET, TODO_AUDIT_LOG="audit.log") as served:
        yield served


def doctor(served, *arguments, cwd):
    return todo("doctor", "--attack", served.origin, *arguments, cwd=cwd)


def test_a_deployment_that_holds_has_a_table_that_says_so_and_nothing_is_left_behind(served, tmp_path):
    tokens = two()
    kept = served.request("POST", "/api/me/tasks", tokens[0], {"title": "of user A"}).body
    ran = doctor(served, *tokens, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0].split() == ["operation", "another's", "path", "another's", "task"]
    assert "FAIL" not in ran.stdout
    assert re.search(r"^PATCH /api/\{user_id\}/tasks/\{\w+\}/complete +403 +404 +held$", ran.stdout, re.MULTILINE)
    assert re.search(r"^ok    attack: \d+ operations held against \d{2,3} requests", lines[-1])
    assert served.request("GET", "/api/me/tasks", tokens[0]).body == [kept]
    assert served.request("GET", "/api/me/tasks", tokens[1]).body == []
    assert not any(token in ran.stdout for token in tokens)


def test_every_operation_of_the_document_is_in_the_table(served, tmp_path):
    document = served.request("GET", "/openapi.json", "").body
    wanted = {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        if path.startswith("/api/{user_id}")
        for method in item
        if method in {"get", "head", "post", "put", "patch", "delete"}
    }
    ran = doctor(served, *two(), "--destructive", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout
    rows = {line.split("  ")[0] for line in ran.stdout.splitlines()[1:-1]}
    assert rows == wanted


def test_what_keeps_it_from_attacking_is_said_in_one_sentence(served, tmp_path):
    one, other = two()
    served.request("POST", "/api/me/tasks", other, {"title": "kept"})
    for arguments, says in [
        ((one, one), "both tokens are of one user"),
        ((one, "nonsense"), "user B cannot list tasks: 401"),
        ((one, other, "--destructive"), "user B has tasks, which --destructive could erase"),
    ]:
        ran = doctor(served, *arguments, cwd=tmp_path)
        assert ran.returncode == 1
        assert ran.stdout.startswith(f"FAIL  attack: {says}")
        assert len(ran.stdout.splitlines()) == 1
    assert served.request("GET", "/api/me/tasks", one).body == []
    assert len(served.request("GET", "/api/me/tasks", other).body) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("todo.example.com", "the URL must be that of the service"),
        ("http://127.0.0.1:9", "GET /openapi.json got no response: ConnectError"),
    ],
)
def test_a_deployment_that_cannot_be_asked_is_said(tmp_path, url, says):
    ran = todo("doctor", "--attack", url, *two(), cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stdout.startswith(f"FAIL  attack: {says}")


def test_a_deployment_without_a_document_is_attacked_with_that_of_this_release(tmp_path):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET, TODO_DOCS="off") as served:
        ran = doctor(served, *two(), cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.startswith("note  attack: the deployment has no OpenAPI document")


DOCUMENT = {
    "paths": {
        "/api/{user_id}/tasks": {"get": {}, "post": {}},
        "/api/{user_id}/tasks/{key}": {"get": {}, "patch": {}, "delete": {}},
        "/api/{user_id}/trash/{key}/restore": {"post": {}},
        "/api/{user_id}/batch": {"post": {}},
        "/api/{user_id}/events": {"get": {"responses": {"200": {"content": {"text/event-stream": {}}}}}},
        "/api/{user_id}/trash": {"delete": {}},
        "/api/{user_id}": {"delete": {}},
        "/feeds/{token}.ics": {"get": {}},
        "/health/live": {"get": {}},
    }
}


class Leaky(ThreadingHTTPServer):
    """A service in the shape of ours whose walls can be taken down by name in `holes`; users are the tokens."""

    def __init__(self, *holes):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.holes = set(holes)
        self.tasks = {}
        self.asked = []


class _Handler(BaseHTTPRequestHandler):
    server: Leaky

    def log_message(self, *_):
        """Say nothing."""

    def _answer(self, status, body=None):
        raw = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "null")
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {self.path}")
        if path == "/openapi.json":
            return self._answer(200, DOCUMENT)
        user = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        _, _, place, *rest = path.split("/")
        place = unquote(place)
        holes = self.server.holes
        if user not in {"ann", "bob"}:
            if "no token" not in holes:
                return self._answer(401, {"error": "no"})
            user = "ann"
        owner = user if place == "me" else place
        if owner != user and "path" not in holes:
            return self._answer(403, {"error": "no"})
        return self._tasks(rest, owner, body)

    def _tasks(self, rest, owner, body):  # noqa: C901  a service in one method
        tasks, holes = self.server.tasks, self.server.holes
        mine = [task for task in tasks.values() if task["user_id"] == owner or "list" in holes]
        match self.command, rest:
            case "GET", ["tasks"]:
                return self._answer(200, mine)
            case "GET", ["events"]:
                return self._answer(200)
            case "POST", ["tasks"]:
                task = {"id": len(tasks) + 1, "user_id": owner, "title": body["title"]}
                tasks[task["id"]] = task
                return self._answer(201, task)
            case "POST", ["batch"]:
                allowed = {key for key, task in tasks.items() if task["user_id"] == owner or "batch" in holes}
                results = [{"status": 200 if each["key"] in allowed else 404} for each in body["operations"]]
                return self._answer(207, {"results": results})
            case "DELETE", []:
                self.server.tasks = {key: task for key, task in tasks.items() if task["user_id"] != owner}
                return self._answer(204)
        if len(rest) < 2 or rest[0] == "trash":
            return self._answer(404, {"error": "no"})
        task = tasks.get(int(rest[1]))
        if task is None:
            return self._answer(404, {"error": "no such task"})
        if task["user_id"] != owner and "task" not in holes:
            return self._answer(404, {"error": "not yours" if "oracle" in holes else "no such task"})
        if self.command == "PATCH":
            task["title"] = body["title"]
        if self.command == "DELETE":
            del tasks[task["id"]]
            return self._answer(204)
        return self._answer(200, task)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815  the library's names


@contextmanager
def leaking(*holes):
    with Leaky(*holes) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def attacked(url, capsys, **how):
    held = attack(Settings(), url, ("ann", "bob"), destructive=how.get("destructive", False))
    return held, capsys.readouterr().out


def test_a_service_without_holes_holds_and_what_is_on_a_whole_user_is_left_alone(capsys):
    with leaking() as (server, url):
        held, printed = attacked(url, capsys)
        assert held, printed
        assert server.tasks == {}
    for skipped in ("DELETE /api/{user_id}/trash", "DELETE /api/{user_id}"):
        assert re.search(rf"^{re.escape(skipped)} +skipped without --destructive$", printed, re.MULTILINE)
        assert not [asked for asked in server.asked if re.fullmatch(r"DELETE /api/[^/]+(/trash|\?.*)?", asked)]
    assert re.search(r"^POST /api/\{user_id\}/batch +403 +404 +held$", printed, re.MULTILINE)


HOLES = {
    "path": ["GET /api/{user_id}/tasks by user A", "POST /api/{user_id}/tasks by user B", "not 403"],
    "task": ["PATCH /api/{user_id}/tasks/{key} by user A", "the task of user B changed: "],
    "list": ["GET /api/{user_id}/tasks by user A", "without the other's task"],
    "batch": ["POST /api/{user_id}/batch by user B", "404 for the other's task"],
    "no token": ["by nobody known", "not 401"],
    "oracle": ["GET /api/{user_id}/tasks/{key} by user A", "the 404 of a task that never existed"],
}


@pytest.mark.parametrize("hole", HOLES)
def test_each_hole_is_found_and_named_and_what_was_made_is_removed(capsys, hole):
    with leaking(hole) as (server, url):
        held, printed = attacked(url, capsys)
        assert not held
        for says in HOLES[hole]:
            assert says in printed
        assert any(line.endswith("FAILED") for line in printed.splitlines())
        assert server.tasks == {}


def test_what_erases_a_user_is_tried_only_where_there_is_nothing_to_lose(capsys):
    with leaking("path") as (server, url):
        held, printed = attacked(url, capsys, destructive=True)
        assert not held
        assert "DELETE /api/{user_id} by user A on the other's: 204, and not 403" in printed
    with leaking() as (server, url):
        server.tasks[1] = {"id": 1, "user_id": "bob", "title": "kept"}
        held, printed = attacked(url, capsys, destructive=True)
        assert (held, printed) == (
            False,
            "FAIL  attack: user B has tasks, which --destructive could erase: use users without tasks\n",
        )
        assert list(server.tasks) == [1]


def test_rate_limits_do_not_keep_it_from_a_response(tmp_path):
    limits = {"TODO_RATE_LIMIT_USER": "60/second", "TODO_RATE_LIMIT_REFUSED": "1/hour"}
    with Served(tmp_path, TODO_JWT_SECRET=SECRET, **limits) as served:
        ran = doctor(served, *two(), cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout
