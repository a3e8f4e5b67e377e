"""`/metrics` of real processes: right whichever worker is asked, after the death of one, and of PostgreSQL's pool."""

import json
import os
import signal
from http.client import HTTPConnection

from prometheus_client.parser import text_string_to_metric_families

from servers.todo import Served

SECRET = "0123456789abcdef0123456789abcdef"
ANSWERS = "todo_http_request_duration_seconds_count"


def numbers(served):
    """Each number by its name and labels."""
    connection = HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def workers(served):
    return sum(value for (name, *_), value in numbers(served).items() if name == "todo_workers")


def started(served):
    """The process ids of the workers so far, as the audit log tells of their starts."""
    lines = [json.loads(line) for line in served.process.stderr.splitlines() if line.startswith("{")]
    return [line["pid"] for line in lines if line.get("event") == "start"]


def listed(served):
    return numbers(served)[ANSWERS, "/api/{user_id}/tasks", "200", "GET"]


def test_every_worker_tells_the_numbers_of_all_and_those_of_a_killed_one_stay(tmp_path):
    with Served(tmp_path, "--workers", "2", TODO_JWT_SECRET=SECRET) as served:
        token = served.token("ann")
        for _ in range(30):
            assert served.request("GET", "/api/me/tasks", token).status == 200
        served.process.wait_until(lambda: workers(served) == 2)
        assert {listed(served) for _ in range(8)} == {30}  # eight connections reach both
        os.kill(started(served)[0], signal.SIGKILL)
        served.process.wait_until(lambda: len(started(served)) == 3 and workers(served) == 2)
        for _ in range(10):
            assert served.request("GET", "/api/me/tasks", token).status == 200
        assert {listed(served) for _ in range(8)} == {40}
        assert all(numbers(served)[("todo_http_requests_in_flight",)] <= 2 for _ in range(8))


def test_the_directory_of_the_workers_numbers_is_gone_when_they_are(tmp_path):
    with Served(tmp_path, "--workers", "2", TMPDIR=str(tmp_path), TODO_JWT_SECRET=SECRET):
        (directory,) = tmp_path.glob("todo-metrics-*")
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not directory.exists()


def test_one_worker_needs_no_directory(tmp_path):
    with Served(tmp_path, TMPDIR=str(tmp_path), TODO_JWT_SECRET=SECRET) as served:
        assert workers(served) == 1
        assert numbers(served)[("process_open_fds",)] > 0
        assert not list(tmp_path.glob("todo-metrics-*"))


def test_the_connections_to_postgresql_are_counted(tmp_path, postgres_databases, postgres_database):
    url = postgres_databases.url(postgres_database)
    with Served(tmp_path, TODO_DATABASE_URL=url, TODO_DATABASE_POOL_SIZE="3", TODO_JWT_SECRET=SECRET) as served:
        assert served.request("POST", "/api/me/tasks", served.token("ann"), {"title": "x"}).status == 201
        counted = numbers(served)
    assert counted["todo_database_connections", "idle"] == 2  # one for short reads, one for writes
    assert counted["todo_database_connections", "busy"] == 0
    assert counted[("todo_database_connections_limit",)] == 3
    assert counted[("todo_database_callers_waiting",)] == 0
