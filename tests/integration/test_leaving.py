"""SIGTERM: readiness first, then the door, then the connections; every request in flight is answered."""

import json
import signal
import socket
import threading
import time
from collections import Counter
from http.client import HTTPConnection, RemoteDisconnected

import pytest

from servers.processes import LOOPBACK, accepts
from servers.todo import Served, token_for

SECRET = "0123456789abcdef0123456789abcdef"
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


def serving(tmp_path, workers="1", drain="0"):
    return Served(tmp_path, "--workers", workers, TODO_JWT_SECRET=SECRET, TODO_DRAIN_SECONDS=drain)


class Half:
    """A create whose last byte has not been sent yet."""

    def __init__(self, served, token):
        body = json.dumps({"title": "in flight"})
        head = f"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.socket = socket.create_connection((LOOPBACK, served.port), timeout=20)
        self.socket.sendall(f"{head}{body[:-1]}".encode())
        time.sleep(0.2)  # until it was read

    def finish(self):
        """Status line and headers of the answer, once all of the request is sent."""
        self.socket.sendall(b"}")
        received = b""
        while piece := self.socket.recv(65_536):
            received += piece
        self.socket.close()
        return received.decode().lower().partition("\r\n\r\n")[0]


def get(connection, path, token=""):
    """Status, headers and body."""
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def ask(served, path, token=""):
    """The same on a connection of its own."""
    connection = HTTPConnection(LOOPBACK, served.port, timeout=20)
    try:
        return get(connection, path, token)
    finally:
        connection.close()


@WORKERS
def test_readiness_goes_first_and_all_else_goes_on_until_the_window_ends(tmp_path, workers):
    with serving(tmp_path, workers, drain="3") as served:
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


@WORKERS
def test_a_request_in_flight_is_answered_after_the_door_was_closed(tmp_path, workers):
    with serving(tmp_path, workers) as served:
        token = token_for("ann", SECRET)
        halves = [Half(served, token) for _ in range(4)]
        served.process.send_signal(signal.SIGTERM)
        served.process.wait_until(lambda: not accepts(served.port), seconds=3)
        time.sleep(1)
        heads = [half.finish() for half in halves]
        assert served.process.stop() == 0
    for head in heads:
        assert head.startswith("http/1.1 201")
        assert "\r\nconnection: close" in head
    with serving(tmp_path) as served:
        assert len(json.loads(ask(served, "/api/me/tasks", token)[2])) == 4


def test_a_kept_connection_is_told_to_go_elsewhere_with_an_answer(tmp_path):
    with serving(tmp_path) as served:
        token = token_for("ann", SECRET)
        kept, idle = (HTTPConnection(LOOPBACK, served.port, timeout=5) for _ in range(2))
        for one in (kept, idle):
            assert get(one, "/health/live")[0] == 200
        served.process.send_signal(signal.SIGTERM)
        served.process.wait_until(lambda: not accepts(served.port), seconds=3)
        status, headers, _ = get(kept, "/api/me/tasks", token)
        assert (status, headers["Connection"]) == (200, "close")
        begun = time.monotonic()
        assert idle.sock.recv(1) == b""  # a second for what may be on its way, and then it ends
        assert time.monotonic() - begun < 2
        assert served.process.stop() == 0
        for one in (kept, idle):
            one.close()


@WORKERS
def test_nobody_who_got_through_the_door_is_reset(tmp_path, workers):
    """Clients with a connection for each request, and clients that keep theirs, until they are refused a new one."""
    met = Counter()

    def ask_until_refused(served, token, *, keep):
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
            except OSError:
                met["reset"] += 1
                connection.close()
            if not keep:
                connection.close()

    with serving(tmp_path, workers) as served:
        token = token_for("ann", SECRET)
        clients = [
            threading.Thread(target=ask_until_refused, args=(served, token), kwargs={"keep": number % 2 == 0})
            for number in range(24)
        ]
        for client in clients:
            client.start()
        time.sleep(0.7)
        assert served.process.stop() == 0
        for client in clients:
            client.join()
    assert met.pop(200) > 100
    assert met.pop("ended", 0) <= 2
    assert not met


def test_ctrl_c_does_not_wait_for_the_window_but_for_the_request_in_flight(tmp_path):
    with serving(tmp_path, drain="60") as served:
        idle = HTTPConnection(LOOPBACK, served.port, timeout=5)
        assert get(idle, "/health/live")[0] == 200
        half = Half(served, token_for("ann", SECRET))
        begun = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        served.process.send_signal(signal.SIGINT)
        assert idle.sock.recv(1) == b""
        assert time.monotonic() - begun < 1
        assert half.finish().startswith("http/1.1 201")
        assert served.process.stop(signal.SIGTERM) in {0, 130}
        assert time.monotonic() - begun < 3
        assert "Traceback" not in served.process.stderr
        idle.close()


def test_a_second_ctrl_c_waits_for_nothing(tmp_path):
    with serving(tmp_path) as served:
        half = Half(served, token_for("ann", SECRET))
        begun = time.monotonic()
        served.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert served.process.running
        served.process.stop(signal.SIGINT)
        assert time.monotonic() - begun < 3
        half.socket.close()


def test_a_second_sigterm_shortens_nothing(tmp_path):
    """systemd sends it to every process of the service, and the supervisor sends it to its workers once more."""
    with serving(tmp_path, drain="2") as served:
        begun = time.monotonic()
        for _ in range(3):
            served.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        served.process.wait_until(lambda: not accepts(served.port), seconds=5)
        assert time.monotonic() - begun > 1.9
        assert served.process.stop() == 0


@WORKERS
def test_a_service_without_requests_is_gone_within_a_moment(tmp_path, workers):
    with serving(tmp_path, workers) as served:
        begun = time.monotonic()
        assert served.process.stop() == 0
        assert time.monotonic() - begun < 3  # 0.3 s, with workers 1 s, where nothing else runs
