"""SIGTERM: readiness first, then the port, then the connections; every request in flight is answered."""

import signal
import time

from servers.processes import accepts
from servers.todo import token_for
from support import leaving
from support.leaving import SECRET, HalfSent, ask, get, idle_connection, serving


def test_readiness_goes_first_and_all_else_goes_on_until_the_window_ends(tmp_path):
    leaving.require_that_readiness_goes_first(tmp_path, "1")


def test_a_request_in_flight_is_answered_after_the_port_was_closed(tmp_path):
    leaving.require_that_requests_in_flight_are_answered(tmp_path, "1")


def test_no_accepted_connection_is_reset(tmp_path):
    leaving.require_that_nobody_is_reset(tmp_path, "1")


def test_a_closed_terminal_ends_it_in_order(tmp_path):
    leaving.require_that_a_closed_terminal_ends_it_in_order(tmp_path, "1")


def test_a_closed_terminal_does_not_end_it_under_nohup(tmp_path):
    leaving.require_that_it_goes_on_under_nohup(tmp_path, "1")


def test_a_kept_connection_is_told_to_go_elsewhere_with_a_response(tmp_path):
    with serving(tmp_path) as served:
        token = token_for("ann", SECRET)
        kept, idle = idle_connection(served), idle_connection(served)
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


def test_ctrl_c_does_not_wait_for_the_window_but_for_the_request_in_flight(tmp_path):
    with serving(tmp_path, drain="60") as served:
        idle, half_sent = idle_connection(served), HalfSent(served, token_for("ann", SECRET))
        begun = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        served.process.send_signal(signal.SIGINT)
        assert idle.sock.recv(1) == b""
        assert time.monotonic() - begun < 1
        (head,) = half_sent.finish()
        assert head.startswith("http/1.1 201")
        assert served.process.stop(signal.SIGTERM) in {0, 130}
        assert time.monotonic() - begun < 3
        assert "Traceback" not in served.process.stderr
        idle.close()


def test_a_second_ctrl_c_waits_for_nothing(tmp_path):
    with serving(tmp_path) as served:
        half_sent = HalfSent(served, token_for("ann", SECRET))
        begun = time.monotonic()
        served.process.send_signal(signal.SIGINT)
        served.process.wait_until(lambda: not accepts(served.port), seconds=3)
        assert served.process.running
        served.process.stop(signal.SIGINT)
        assert time.monotonic() - begun < 4
        (one,) = half_sent.sockets
        one.close()


def test_a_second_sigterm_shortens_nothing(tmp_path):
    """systemd sends it to every process of the service, and the supervisor sends it to its workers once more."""
    with serving(tmp_path, drain="2") as served:
        begun = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        served.process.wait_until(lambda: ask(served, "/health/ready")[0] == 503)
        served.process.send_signal(signal.SIGTERM)
        served.process.send_signal(signal.SIGTERM)
        served.process.wait_until(lambda: not accepts(served.port), seconds=5)
        assert time.monotonic() - begun > 1.9
        begun = time.monotonic()
        assert served.process.stop() == 0
        assert time.monotonic() - begun < 3  # 0.3 s where nothing else runs: no request delays the end


def test_sigterm_until_the_end_does_not_change_the_status(tmp_path):
    with serving(tmp_path, drain="0") as served:
        while served.process.running:
            served.process.send_signal(signal.SIGTERM)
        assert served.process.stop() == 0
