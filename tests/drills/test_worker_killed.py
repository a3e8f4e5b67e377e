"""kill -9 of one of two workers: the other goes on, nothing acknowledged or counted is lost, a new one comes.

kill -9 of their supervisor: both end.

kill -9 of both while the file is locked: the new ones serve as soon as the lock is released.

kill -9 of one while a setting is wrong: a new one comes once it is mended.

A worker that ends while the supervisor waits for its answer is replaced at once; a slow start is not cut off.
"""

import json
import os
import signal
import sqlite3
import threading
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from servers.process_table import alive, children, wait_until_gone
from servers.processes import LOOPBACK, accepts
from servers.todo import Served, token_for

SECRET = "0123456789abcdef0123456789abcdef"
WITH_TRACKER = 3
"""The children of the supervisor of two workers: the workers, and Python's tracker of resources."""


class Client(threading.Thread):
    """Creates one task after the other; what breaks off in the middle is tried again with its key, as clients do."""

    def __init__(self, port, token, number):
        super().__init__()
        self._connection = HTTPConnection(LOOPBACK, port, timeout=20)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._number = number
        self.enough = threading.Event()
        self.made = []
        self.broken = []
        self.other = []

    def run(self):
        while not self.enough.is_set():
            key = f"{self._number}-{len(self.made)}"
            try:
                self._connection.request(
                    "POST", "/api/me/tasks", json.dumps({"title": key}), self._headers | {"Idempotency-Key": key}
                )
                response = self._connection.getresponse()
                task = json.loads(response.read())
            except (OSError, HTTPException):
                self.broken.append(time.monotonic())
                self._connection.close()
                continue
            if response.status == 201:
                self.made.append(task)
            else:
                self.other.append(task)
        self._connection.close()


def workers(served):
    """The process ids of the workers so far, as the audit log tells of their starts."""
    lines = [json.loads(line) for line in served.process.stderr.splitlines() if line.startswith("{")]
    return [line["pid"] for line in lines if line.get("event") == "start"]


def test_the_other_worker_goes_on_nothing_is_lost_and_a_new_one_comes(tmp_path):
    with Served(tmp_path, "--workers", "2", TODO_JWT_SECRET=SECRET) as served:
        served.process.wait_until(lambda: len(workers(served)) == 2)
        clients = [Client(served.port, token_for("ann", SECRET), number) for number in range(12)]
        for client in clients:
            client.start()
        time.sleep(0.5)
        before = sum(len(client.made) for client in clients)
        victim = max(workers(served), key=lambda pid: len(list(Path(f"/proc/{pid}/fd").iterdir())))  # who has clients
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        served.process.wait_until(lambda: len(workers(served)) == 3)
        replaced = time.monotonic() - killed
        between = sum(len(client.made) for client in clients) - before
        time.sleep(0.3)
        for client in clients:
            client.enough.set()
        for client in clients:
            client.join()
        listed = served.request("GET", "/api/me/tasks", token_for("ann", SECRET)).body
    broken = [moment - killed for client in clients for moment in client.broken]
    print(  # noqa: T201  the figures, for -s
        f"a new worker serves {replaced:.1f} s after the kill; {between} creates meanwhile; "
        f"{len(broken)} requests broke off and were tried again"
    )
    assert not alive(victim)
    assert replaced < 30  # 1.0 to 1.5 s where nothing else runs
    assert between > 0
    assert [client.other for client in clients] == [[]] * 12
    assert 0 < len(broken) <= 12  # one for each connection to the victim, never twice
    assert all(moment < 2 for moment in broken)
    acknowledged = {task["id"]: task for client in clients for task in client.made}
    assert {task["id"]: task for task in listed} == acknowledged
    assert len({task["title"] for task in listed}) == len(listed)


def numbers(served):
    """Each number by its name and labels."""
    families = text_string_to_metric_families(served.text("/metrics"))
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def serving(served):
    """How many workers the numbers tell of."""
    return sum(value for (name, *_), value in numbers(served).items() if name == "todo_workers")


def test_what_a_killed_worker_has_counted_stays_and_what_it_had_in_flight_goes(tmp_path):
    def listed(served):
        return numbers(served)["todo_http_request_duration_seconds_count", "/api/{user_id}/tasks", "200", "GET"]

    with Served(tmp_path, "--workers", "2", TODO_JWT_SECRET=SECRET) as served:
        token = token_for("ann", SECRET)
        for _ in range(30):
            assert served.request("GET", "/api/me/tasks", token).status == 200
        served.process.wait_until(lambda: serving(served) == 2)
        assert {listed(served) for _ in range(8)} == {30}  # eight connections reach both
        os.kill(workers(served)[0], signal.SIGKILL)
        served.process.wait_until(lambda: len(workers(served)) == 3 and serving(served) == 2)
        for _ in range(10):
            assert served.request("GET", "/api/me/tasks", token).status == 200
        assert {listed(served) for _ in range(8)} == {40}
        assert all(numbers(served)[("todo_http_requests_in_flight",)] <= 2 for _ in range(8))


def test_workers_whose_supervisor_was_killed_end_and_free_the_port(tmp_path):
    with Served(tmp_path, "--workers", "2", TODO_JWT_SECRET=SECRET) as served:
        served.may_log_errors = True
        served.process.wait_until(lambda: len(workers(served)) == 2)
        left = workers(served)
        os.kill(served.process.pid, signal.SIGKILL)
        try:
            wait_until_gone(left, seconds=30)
        finally:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert not accepts(served.port)
        assert served.process.stderr.count("the supervisor of the workers has ended") == 2
    with Served(tmp_path, "--workers", "2", port=served.port, TODO_JWT_SECRET=SECRET) as again:
        assert again.request("GET", "/api/me/tasks", token_for("ann", SECRET)).status == 200


def test_workers_that_start_while_the_file_is_locked_serve_once_it_is_free(tmp_path):
    with Served(tmp_path, "--workers", "2", TODO_JWT_SECRET=SECRET) as served:
        token = token_for("ann", SECRET)
        served.process.wait_until(lambda: len(workers(served)) == 2)
        with closing(sqlite3.connect(tmp_path / "todo.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for pid in workers(served):
                os.kill(pid, signal.SIGKILL)
            waiting = "the store is not ready yet"
            served.process.wait_until(lambda: served.process.stderr.count(waiting) == 2)
            assert served.request("GET", "/api/me/tasks", token).status == 200
            assert served.request("POST", "/api/me/tasks", token, {"title": "x"}).status == 503
            other.execute("ROLLBACK")
        assert served.request("POST", "/api/me/tasks", token, {"title": "x"}).status == 201


def test_a_worker_that_finds_a_bad_setting_says_so_in_one_sentence_and_starts_once_it_is_mended(tmp_path):
    with Served(tmp_path, "--workers", "2", TODO_JWT_SECRET=SECRET) as served:
        served.process.wait_until(lambda: len(workers(served)) == 2)
        (tmp_path / ".env").write_text("TODO_TRASH_DAYS=soon")
        os.kill(workers(served)[0], signal.SIGKILL)
        served.process.wait_until(lambda: "todo: TODO_TRASH_DAYS must be" in served.process.stderr)
        assert served.request("GET", "/api/me/tasks", token_for("ann", SECRET)).status == 200
        (tmp_path / ".env").unlink()
        served.process.wait_until(lambda: len(workers(served)) == 3)
        assert "Traceback" not in served.process.stderr


def test_a_worker_that_ends_while_the_supervisor_asks_it_is_replaced_at_once(tmp_path):
    with Served(tmp_path, "--workers", "2", TODO_JWT_SECRET=SECRET) as served:
        served.process.wait_until(lambda: len(workers(served)) == 2)
        victim = workers(served)[0]
        os.kill(victim, signal.SIGSTOP)
        time.sleep(1)  # the supervisor asks twice a second, and waits up to 5 s for the answer
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        served.process.wait_until(lambda: not alive(victim) and len(children(served.process.pid)) == WITH_TRACKER)
        assert time.monotonic() - killed < 2


def test_a_worker_that_starts_slowly_is_not_ended_for_it(tmp_path):
    with Served(tmp_path, "--workers", "2", TODO_JWT_SECRET=SECRET) as served:
        served.process.wait_until(lambda: len(workers(served)) == 2)
        known = children(served.process.pid)
        os.kill(workers(served)[0], signal.SIGKILL)
        served.process.wait_until(lambda: set(children(served.process.pid)).difference(known))
        (new,) = set(children(served.process.pid)).difference(known)
        os.kill(new, signal.SIGSTOP)  # as on a machine that is too busy
        time.sleep(6)  # uvicorn would end it after 5
        os.kill(new, signal.SIGCONT)
        served.process.wait_until(lambda: len(workers(served)) == 3)
        assert workers(served)[-1] == new
        assert served.request("GET", "/api/me/tasks", token_for("ann", SECRET)).status == 200
        assert "Traceback" not in served.process.stderr
