"""kill -9 in the middle of writes: what was acknowledged is there, nothing is half there, revisions go on."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from servers.todo import Served

SECRET = "0123456789abcdef0123456789abcdef"


def _write_until_it_dies(served, token, number, acknowledged):
    for count in range(500):
        try:
            response = served.request(
                "POST", "/api/me/tasks", token, {"title": f"{number}-{count}", "description": "x" * 900}
            )
        except OSError:
            return
        if response.status == 201:
            acknowledged.append(response.body)


def test_a_killed_server_loses_nothing_it_acknowledged(tmp_path):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        token = served.token("ann")
        acknowledged = []
        writers = [
            threading.Thread(target=_write_until_it_dies, args=(served, token, number, acknowledged))
            for number in range(16)  # so that some of them share a transaction
        ]
        for writer in writers:
            writer.start()
        while len(acknowledged) < 100:
            assert any(writer.is_alive() for writer in writers)
        served.process.kill()
        for writer in writers:
            writer.join()
    assert 100 <= len(acknowledged) < 8_000

    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        kept = {task["id"]: task for task in served.request("GET", "/api/me/tasks", token).body}
        for task in acknowledged:
            assert kept[task["id"]] == task
        assert all(len(task["description"]) == 900 for task in kept.values())
        revisions = sorted(task["revision"] for task in kept.values())
        assert revisions == list(range(revisions[0], revisions[0] + len(kept)))
        after = served.request("POST", "/api/me/tasks", token, {"title": "after"}).body
        assert after["revision"] == revisions[-1] + 1
        assert after["id"] > max(kept)


def test_a_killed_worker_is_replaced_and_every_write_it_acknowledged_is_there(tmp_path):
    with Served(tmp_path, "--workers", "2", TODO_JWT_SECRET=SECRET) as served:
        token = served.token("ann")
        made = [served.request("POST", "/api/me/tasks", token, {"title": "x"}).body["id"] for _ in range(20)]
        first, *_ = before = _workers(served)
        os.kill(first, signal.SIGKILL)
        served.process.wait_until(lambda: len(workers := _workers(served)) == 2 and workers != before)
        served.process.wait_for_http(f"{served.origin}/health/ready")
        listed = served.request("GET", "/api/me/tasks", token).body
    assert sorted(task["id"] for task in listed) == made


def _workers(served):
    """The processes that serve: children of the supervisor, without Python's resource tracker."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(served.process.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line.split()[0]) for line in listing.stdout.splitlines() if "spawn_main" in line]


def test_a_create_whose_response_was_lost_to_a_kill_is_made_once_by_its_retry(tmp_path):
    """The server dies between the request and its response; the retry's key makes it one task all the same."""
    body = json.dumps({"title": "once"}).encode()
    for round_ in range(6):
        with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
            token = served.token("ann")
            head = (
                f"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                f"Idempotency-Key: {round_}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", served.port)) as connection:
                connection.sendall(head.encode() + body)
                time.sleep(round_ * 0.0008)
                served.process.kill()
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        for round_ in range(6):
            key = {"Idempotency-Key": str(round_)}
            first = served.request("POST", "/api/me/tasks", token, {"title": "once"}, key)
            again = served.request("POST", "/api/me/tasks", token, {"title": "once"}, key)
            assert (first.status, again.status) == (201, 201)
            assert first.body == again.body
            assert again.headers["idempotency-replayed"] == "true"
        listed = served.request("GET", "/api/me/tasks", token).body
    assert len(listed) == 6
    revisions = sorted(task["revision"] for task in listed)
    assert revisions == list(range(revisions[0], revisions[0] + 6))


WRITES = {
    "a create by uid": ("PUT", "/api/me/tasks/{name}", {"title": "once"}, {"If-None-Match": "*"}),
    "a toggle with a key": ("PATCH", "/api/me/tasks/{name}/complete", None, {"Idempotency-Key": "{name}"}),
    "a batch": (
        "POST",
        "/api/me/batch",
        {"operations": [{"op": "put", "key": "{name}", "task": {"title": "once"}}]},
        {},
    ),
}


@pytest.mark.parametrize("what", WRITES)
def test_a_write_whose_response_was_lost_to_a_kill_is_done_once_by_its_repetition(tmp_path, what):
    rounds = [f"the-name-of-round-{number}" for number in range(6)]
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        token = served.token("ann")
        if what == "a toggle with a key":
            for name in rounds:
                served.request("PUT", f"/api/me/tasks/{name}", token, {"title": "once"})
        before = served.request("GET", "/api/me/changes", token).body["revision"]
    for number, name in enumerate(rounds):
        method, path, body, headers = _named(what, name)
        sent = json.dumps(body).encode() if body else b""
        with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
            head = "".join(f"{header}: {value}\r\n" for header, value in headers.items())
            head = (
                f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{head}"
                f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", served.port)) as connection:
                connection.sendall(head.encode() + sent)
                time.sleep(number * 0.0008)
                served.process.kill()
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        for name in rounds:
            method, path, body, headers = _named(what, name)
            first, again = (served.request(method, path, token, body, headers) for _ in range(2))
            assert {first.status, again.status} <= {200, 201, 412}
            assert again.status == (412 if method == "PUT" else 200)
        changes = served.request("GET", "/api/me/changes", token).body
    made = len(rounds) if what != "a toggle with a key" else 0
    assert sorted(task["uid"] for task in changes["tasks"]) == rounds
    assert all(task["completed"] == (not made) for task in changes["tasks"])
    revisions = sorted(task["revision"] for task in changes["tasks"])
    assert revisions == list(range(revisions[0], revisions[0] + len(rounds)))
    assert changes["revision"] == (revisions[-1] if made else before + len(rounds))


def _named(what, name):
    """The write of this name."""
    method, path, body, headers = json.loads(json.dumps(WRITES[what]).replace("{name}", name))
    return method, path, body, headers
