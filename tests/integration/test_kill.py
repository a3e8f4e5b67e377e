"""kill -9 in the middle of writes: what was acknowledged is there, nothing is half there, revisions go on."""

import os
import signal
import subprocess
import threading

from servers.todo import Served

SECRET = "0123456789abcdef0123456789abcdef"


def _write_until_it_dies(served, token, number, acknowledged):
    for count in range(500):
        try:
            answer = served.request(
                "POST", "/api/me/tasks", token, {"title": f"{number}-{count}", "description": "x" * 900}
            )
        except OSError:
            return
        if answer.status == 201:
            acknowledged.append(answer.body)


def test_a_killed_server_loses_nothing_it_acknowledged(tmp_path):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        token = served.token("ann")
        acknowledged = []
        writers = [
            threading.Thread(target=_write_until_it_dies, args=(served, token, number, acknowledged))
            for number in range(4)
        ]
        for writer in writers:
            writer.start()
        while len(acknowledged) < 100:
            assert any(writer.is_alive() for writer in writers)
        served.process.kill()
        for writer in writers:
            writer.join()
    assert 100 <= len(acknowledged) < 2_000

    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        kept = {task["id"]: task for task in served.request("GET", "/api/me/tasks", token).body}
        for task in acknowledged:
            assert kept[task["id"]] == task
        assert all(len(task["description"]) == 900 for task in kept.values())
        revisions = sorted(task["revision"] for task in kept.values())
        assert revisions == list(range(1, len(kept) + 1))
        after = served.request("POST", "/api/me/tasks", token, {"title": "after"}).body
        assert after["revision"] == len(kept) + 1
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
