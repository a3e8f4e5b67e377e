"""Stopping a service while clients use it, with any number of workers."""

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from servers.processes import LOOPBACK, ServerProcess, accepts, free_port
from servers.todo import TODO, Served, environment, token_for

SECRET = "0123456789abcdef0123456789abcdef"


def serving(directory: Path, workers: str = "1", drain: str = "0") -> Served:
    """A service with so many workers, which serves so many seconds after SIGTERM."""
    return Served(directory, "--workers", workers, TODO_JWT_SECRET=SECRET, TODO_DRAIN_SECONDS=drain)


class HalfSent:
    """Creates whose last byte has not been sent yet; the service has read all the others."""

    def __init__(self, served: Served, token: str, number: int = 1) -> None:
        body = json.dumps({"title": "in flight"})
        head = f"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.sockets = [socket.create_connection((LOOPBACK, served.port), timeout=20) for _ in range(number)]
        for one in self.sockets:
            one.sendall(f"{head}{body[:-1]}".encode())
        served.process.wait_until(lambda: in_flight(served) > number)  # the request for the numbers is one as well

    def finish(self) -> list[str]:
        """Status line and headers of each response, once all of the request is sent."""
        return [self._finish(one) for one in self.sockets]

    def _finish(self, one: socket.socket) -> str:
        one.sendall(b"}")
        received = b""
        while piece := one.recv(65_536):
            received += piece
        one.close()
        return received.decode().lower().partition("\r\n\r\n")[0]


def in_flight(served: Served) -> float:
    """How many requests the service is answering."""
    families = text_string_to_metric_families(served.text("/metrics"))
    return sum(one.value for family in families for one in family.samples if one.name == "todo_http_requests_in_flight")


def get(connection: HTTPConnection, path: str, token: str = "") -> tuple[int, Any, bytes]:
    """Status, headers and body."""
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def ask(served: Served, path: str, token: str = "") -> tuple[int, Any, bytes]:
    """The same on a connection of its own."""
    connection = HTTPConnection(LOOPBACK, served.port, timeout=20)
    try:
        return get(connection, path, token)
    finally:
        connection.close()


def idle_connection(served: Served) -> HTTPConnection:
    """A connection that was used once and is kept."""
    connection = HTTPConnection(LOOPBACK, served.port, timeout=20)
    assert get(connection, "/health/live")[0] == 200
    return connection


# What holds with any number of workers


def require_that_readiness_goes_first(directory: Path, workers: str) -> None:
    """And all else goes on until the window ends."""
    with serving(directory, workers, drain="3") as served:
        token = token_for("ann", SECRET)
        begun = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        served.process.wait_until(lambda: ask(served, "/health/ready")[0] == 503, seconds=2)
        while time.monotonic() < begun + 2.5:
            status, headers, body = ask(served, "/health/ready")
            if status == 200:  # the other worker hears of it a moment later
                assert time.monotonic() < begun + 2
                continue
            assert (status, headers["Retry-After"], headers["Content-Type"]) == (503, "1", "application/json")
            assert json.loads(body)["code"] == "unavailable"
            assert "about to stop" in json.loads(body)["error"]
            assert ask(served, "/health/live")[0] == 200
            assert ask(served, "/api/me/tasks", token)[0] == 200
        served.process.wait_until(lambda: not accepts(served.port), seconds=3)
        assert served.process.stop() == 0
        assert "Traceback" not in served.process.stderr


def require_that_requests_in_flight_are_answered(directory: Path, workers: str) -> None:
    """After the port was closed, and idle connections with it."""
    with serving(directory, workers) as served:
        token = token_for("ann", SECRET)
        idle, half_sent = idle_connection(served), HalfSent(served, token, 4)
        served.process.send_signal(signal.SIGTERM)
        served.process.wait_until(lambda: not accepts(served.port), seconds=3)
        assert idle.sock.recv(1) == b""
        idle.close()
        heads = half_sent.finish()
        assert served.process.stop() == 0
    for head in heads:
        assert head.startswith("http/1.1 201")
        assert "\r\nconnection: close" in head
    with serving(directory) as served:
        assert len(json.loads(ask(served, "/api/me/tasks", token)[2])) == 4


def require_that_nobody_is_reset(directory: Path, workers: str) -> None:
    """Clients with a connection for each request, and clients that keep theirs, until they are refused a new one."""
    met: Counter[object] = Counter()

    def ask_until_refused(served: Served, token: str, *, keep: bool) -> None:
        connection = HTTPConnection(LOOPBACK, served.port, timeout=20)
        while True:
            try:
                met[get(connection, "/api/me/tasks", token)[0]] += 1
            except ConnectionRefusedError:
                return
            except RemoteDisconnected:
                # A kept connection that nobody used for a second may end just as it is used again.
                met["ended" if keep else "reset"] += 1
                connection.close()
            except OSError as problem:
                met[repr(problem)] += 1
                connection.close()
            if not keep:
                connection.close()

    with serving(directory, workers) as served:
        token = token_for("ann", SECRET)
        clients = [
            threading.Thread(target=ask_until_refused, args=(served, token), kwargs={"keep": number % 2 == 0})
            for number in range(24)
        ]
        for client in clients:
            client.start()
        served.process.wait_until(lambda: met[200] > 200)
        assert served.process.stop() == 0
        for client in clients:
            client.join()
    assert met.pop(200) > 200
    assert met.pop("ended", 0) <= 2
    assert not met, met


def require_that_nothing_delays_the_end(directory: Path, workers: str) -> None:
    """A service without requests is gone within a moment."""
    with serving(directory, workers) as served:
        begun = time.monotonic()
        assert served.process.stop() == 0
        assert time.monotonic() - begun < 3  # 0.3 s, with workers 1 s, where nothing else runs


def require_that_a_closed_terminal_ends_it_in_order(directory: Path, workers: str) -> None:
    """SIGHUP reaches every process of the service at once; a request in flight is answered all the same."""
    with serving(directory, workers) as served:
        half_sent = HalfSent(served, token_for("ann", SECRET), 4)
        os.killpg(served.process.pid, signal.SIGHUP)
        served.process.wait_until(lambda: not accepts(served.port), seconds=5)
        os.killpg(served.process.pid, signal.SIGHUP)
        heads = half_sent.finish()
        assert served.process.stop(signal.SIGHUP) == 0
        written = served.process.stderr
        assert not {"Traceback", "resource_tracker"} & set(re.findall(r"\w+", written)), written
    assert [head.partition("\r\n")[0] for head in heads] == ["http/1.1 201 created"] * 4


def require_that_it_goes_on_under_nohup(directory: Path, workers: str) -> None:
    """Where SIGHUP was ignored at the start, no process of the service heeds it."""
    port = free_port()
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", ignoring, TODO, "serve", "--port", str(port), "--workers", workers]
    env = environment(TODO_JWT_SECRET=SECRET, TODO_AUDIT_LOG="audit.log")
    with ServerProcess(command, logs=directory, name="serve", cwd=directory, env=env) as process:
        process.wait_until(lambda: _starts(directory) == int(workers))
        process.wait_for_http(f"http://{LOOPBACK}:{port}/health/ready")
        os.killpg(process.pid, signal.SIGHUP)
        process.wait_for_http(f"http://{LOOPBACK}:{port}/health/ready")
        begun = time.monotonic()
        # The supervisor looks twice a second for signals and for ended workers.
        process.wait_until(lambda: time.monotonic() > begun + 1.2)
        process.wait_for_http(f"http://{LOOPBACK}:{port}/health/ready")
        assert process.stop() == 0
    assert _starts(directory) == int(workers)


def _starts(directory: Path) -> int:
    """How many workers have begun to serve."""
    log = directory / "audit.log"
    return log.read_text().count('"start"') if log.exists() else 0
