"""deploy/nginx.conf at work: what it repeats, what it says itself, and what it lets through unchanged."""

import gzip
import json
import socket
import time
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest

from servers.nginx import proxying
from servers.processes import LOOPBACK, reserve_port
from servers.todo import Served, token_for
from servers.upstream import OK, Upstream

SECRET = "5e0f7c1b9a3d8642c7e1f0a95b3d2c48"
PAGE, APP = "https://app.example", "tauri://localhost"
WRITES = ["POST", "PUT", "PATCH", "DELETE"]
KEY = {"Idempotency-Key": "5f2b"}


def ask(port, method, target, *, token=None, body=None, **headers):
    """Status, headers and body of a response that comes through the proxy."""
    connection = HTTPConnection(LOOPBACK, port, timeout=20)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given |= {"Authorization": f"Bearer {token}"} if token else {}
        given |= {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, target, body, given)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """The service behind the shipped configuration, with two origins."""
    directory = tmp_path_factory.mktemp("proxied")
    settings = {"TODO_JWT_SECRET": SECRET, "TODO_CORS_ORIGINS": f"{PAGE} {APP}", "TODO_TRUSTED_PROXIES": LOOPBACK}
    with (
        Served(directory, **settings) as served,
        proxying(directory, served.port, origins=[PAGE, APP]) as port,
    ):
        yield served, port


# What is repeated on another instance, and what is not.


@pytest.fixture(scope="module")
def between(tmp_path_factory):
    """Start the proxy between these upstream ports; an instance that failed is not left alone."""
    with ExitStack() as stack:

        def start(*ports):
            never = {"fail_timeout=1s": "fail_timeout=1s max_fails=0", "worker_processes auto": "worker_processes 1"}
            directory = tmp_path_factory.mktemp("between")
            return stack.enter_context(proxying(directory, *ports, origins=[PAGE], changes=never))

        yield start


@pytest.fixture(scope="module")
def swallowing(between):
    """Two instances that take each request and answer none, and the proxy's port."""
    with Upstream(lambda _: None) as one, Upstream(lambda _: None) as other:
        yield one, other, between(one.port, other.port)


@pytest.mark.parametrize(
    ("method", "headers", "times", "outcome"),
    [
        *((method, {}, 2, None) for method in ("GET", "HEAD", "OPTIONS")),
        *((method, KEY, 2, "unknown") for method in WRITES),
        *((method, {}, 1, "unknown") for method in WRITES),
        *((method, {"Idempotency-Key": ""}, 1, "unknown") for method in WRITES),
    ],
)
def test_what_was_sent_is_repeated_only_if_it_may_be_done_twice(swallowing, method, headers, times, outcome):
    one, other, port = swallowing
    one.received.clear()
    other.received.clear()
    status, received, body = ask(
        port, method, "/api/me/tasks/1", body='{"a": 1}' if method in WRITES else None, **headers
    )
    assert (status, received["Retry-After"]) == (503, "1")
    if method != "HEAD":
        assert (said := json.loads(body))["code"] == "unavailable"
        assert said.get("outcome") == outcome
    assert len(one.received) + len(other.received) == times


def test_what_may_take_half_a_minute_has_more_time_than_the_rest(tmp_path):
    def slow(_):
        time.sleep(1.5)
        return OK

    times = {"proxy_read_timeout 10s": "proxy_read_timeout 500ms"}
    with Upstream(slow) as upstream, proxying(tmp_path, upstream.port, changes=times) as port:
        assert ask(port, "DELETE", "/api/ann?confirm=ann")[0] == 200
        assert ask(port, "GET", "/api/ann/export?format=csv")[0] == 200
        assert ask(port, "POST", "/api/ann/import", body="x" * 8_388_608)[0] == 200
        assert ask(port, "POST", "/api/ann/import", body="x" * 8_388_609)[0] == 413
        assert ask(port, "POST", "/api/ann/batch", body="x" * 1_048_577)[0] == 413
        assert ask(port, "DELETE", "/api/me/tasks/1")[0] == 503


def test_a_feed_is_read_through_the_proxy_and_its_secret_is_in_no_log(proxied, tmp_path):
    _, port = proxied
    token = token_for("ann", SECRET)
    status, _, body = ask(port, "POST", "/api/me/feed", token=token)
    assert status == 201
    feed = "/" + json.loads(body)["url"].removeprefix("../../")
    status, received, body = ask(port, "GET", feed)
    assert (status, body[:15]) == (200, b"BEGIN:VCALENDAR")
    assert ask(port, "GET", feed, If_None_Match=received["ETag"])[0] == 304
    assert ask(port, "POST", feed)[0] == 405

    logs = {"access_log off;": f"access_log {tmp_path}/access.log todo;"}
    with Upstream(lambda _: OK) as upstream, proxying(tmp_path, upstream.port, changes=logs) as port:
        for path in (feed, f"/todo{feed}?x=1", "/api/me/tasks"):
            assert ask(port, "GET", path)[0] == 200
    away, holder = reserve_port()
    with holder, proxying(tmp_path, away, changes=logs) as port:
        assert ask(port, "GET", feed)[0] == 503
        assert ask(port, "GET", "/api/me/tasks")[0] == 503
    accessed = (tmp_path / "access.log").read_text().splitlines()
    assert sorted(line.split('"')[1] for line in accessed) == [
        *["GET /api/me/tasks HTTP/1.1"] * 2,
        *["GET /feeds/... HTTP/1.1"] * 2,
        "GET /todo/feeds/... HTTP/1.1",
    ]
    errors = (tmp_path / "nginx.err").read_text()
    assert "GET /api/me/tasks" in errors, "what the proxy logs at all"
    assert feed.removeprefix("/feeds/")[:20] not in errors


@pytest.mark.parametrize("headers", [{}, KEY], ids=["no key", "key"])
@pytest.mark.parametrize("method", ["GET", "HEAD", *WRITES])
@pytest.mark.parametrize("away", [1, 2])
def test_what_was_not_sent_goes_to_the_next_instance_whole_and_once(between, method, headers, away):
    target, body = "/api/a%2Fb/tasks/~x?q=%20&tag=a%26b&%C3%A9", '{"title": "' + "x" * 50_000 + '"}'
    with Upstream(lambda _: OK) as there, ExitStack() as stack:
        refusing = []
        for _ in range(away):
            port, holder = reserve_port()
            stack.enter_context(holder)
            refusing.append(port)
        port = between(*refusing, there.port)
        for number in range(1, 7):
            status, _, _ = ask(port, method, target, body=body if method in WRITES else None, **headers)
            assert (status, len(there.received)) == (200, number)
    for request in there.received:
        assert request.startswith(f"{method} {target} HTTP/1.1\r\n".encode())
        if method in WRITES:
            assert request.endswith(b"\r\n\r\n" + body.encode())


@pytest.mark.parametrize("method", ["GET", *WRITES])
def test_while_no_instance_is_there_nothing_has_happened_and_that_is_said_at_once(between, method):
    port, holder = reserve_port()
    begun = time.monotonic()
    with holder:
        status, _, body = ask(between(port), method, "/api/me/tasks", body="{}" if method in WRITES else None)
    said = json.loads(body)
    assert (status, said["code"], said.get("outcome")) == (503, "unavailable", None)
    assert time.monotonic() - begun < 5


# What the proxy says itself.


def raw(port, request):
    """The response to these bytes, as status, headers and body."""
    with socket.create_connection((LOOPBACK, port), timeout=10) as connection:
        connection.sendall(request)
        response = b""
        while piece := connection.recv(65_536):
            response += piece
            head, _, body = response.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            if length and len(body) >= int(length):
                break
    lines = head.decode("latin-1").split("\r\n")
    headers = [line.split(": ", 1) for line in lines[1:]]
    return int(lines[0].split()[1]), {name.lower(): value for name, value in headers}, body


ORIGIN = f"Origin: {PAGE}\r\nX-Request-ID: mine\r\n".encode()
OWN_RESPONSES = {
    "no host": (b"GET / HTTP/1.1\r\n" + ORIGIN + b"\r\n", 400, "invalid", True),
    "no http": (b"nonsense\r\n\r\n", 400, "invalid", False),
    "no length": (b"POST / HTTP/1.1\r\nHost: x\r\n" + ORIGIN + b"Content-Length: x\r\n\r\n", 400, "invalid", True),
    "numbers": (b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + ORIGIN + b"\r\n", 404, "not_found", True),
    "numbers encoded": (b"GET /%6detrics HTTP/1.1\r\nHost: x\r\n" + ORIGIN + b"\r\n", 404, "not_found", True),
    "our own": (b"GET /.refused HTTP/1.1\r\nHost: x\r\n" + ORIGIN + b"\r\n", 404, "not_found", True),
    "trace": (b"TRACE / HTTP/1.1\r\nHost: x\r\n" + ORIGIN + b"\r\n", 405, "method_not_allowed", True),
    "large": (
        b"POST / HTTP/1.1\r\nHost: x\r\n" + ORIGIN + b"Content-Length: 2000000\r\n\r\n", 413, "too_large", True,
    ),
    "large in chunks": (
        b"POST / HTTP/1.1\r\nHost: x\r\n" + ORIGIN + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"20000\r\n" + b"x" * 0x20000 + b"\r\n" + (b"20000\r\n" + b"x" * 0x20000 + b"\r\n") * 8,
        413, "too_large", True,
    ),
    "long target": (b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "too_large", False),
    "long header": (
        b"GET / HTTP/1.1\r\nHost: x\r\n" + ORIGIN + b"X: " + b"a" * 30_000 + b"\r\n\r\n", 431, "too_large", True,
    ),
    "encoded": (
        b"POST / HTTP/1.1\r\nHost: x\r\n" + ORIGIN + b"Transfer-Encoding: gzip\r\n\r\n", 501, "invalid", True,
    ),
    "later http": (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "invalid", False),
}  # fmt: skip
"""Bytes, the status and code that the proxy answers, and whether it has read the Origin by then."""


@pytest.mark.parametrize("name", OWN_RESPONSES)
def test_the_proxys_own_responses_have_the_shape_of_the_services_and_its_cors_headers(proxied, name):
    _, port = proxied
    request, expected, code, reads_origin = OWN_RESPONSES[name]
    status, headers, body = raw(port, request)
    said = json.loads(body)
    assert (status, said["code"]) == (expected, code)
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"] == said["request_id"]
    assert ("fields" in said) == (status == 400)
    assert ("allow" in headers) == (status == 405)
    assert headers["vary"] == "Origin"
    if reads_origin:
        assert said["request_id"] == "mine"
        assert headers["access-control-allow-origin"] == PAGE
        assert "retry-after" in headers["access-control-expose-headers"].lower()
    else:
        assert len(said["request_id"]) == 32
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("origin", ["https://evil.example", "https://app.example.evil", "", "null"])
def test_other_origins_may_not_read_them(proxied, origin):
    _, port = proxied
    _, headers, _ = ask(port, "GET", "/metrics", Origin=origin)
    assert "Access-Control-Allow-Origin" not in headers
    assert "Access-Control-Expose-Headers" not in headers


def test_too_many_connections_of_an_address_are_429_and_readable(proxied):
    _, port = proxied
    held = []
    try:
        while (response := ask(port, "GET", "/health/live", Origin=APP))[0] != 429:
            assert len(held) < 400, "never refused"
            held.append(socket.create_connection((LOOPBACK, port)))
            held[-1].sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        status, headers, body = response
        asked = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "authorization"}
        preflight = ask(port, "OPTIONS", "/api/me/tasks", Origin=APP, **asked)
    finally:
        for one in held:
            one.close()
    assert (status, json.loads(body)["code"], headers["Retry-After"]) == (429, "rate_limited", "1")
    assert headers["Access-Control-Allow-Origin"] == APP
    assert (preflight[0], preflight[1]["Access-Control-Allow-Headers"]) == (204, "authorization")


@pytest.mark.parametrize(
    ("origin", "asked", "status", "allowed"),
    [
        (PAGE, "authorization,traceparent", 204, "authorization,traceparent"),
        (PAGE, None, 204, None),
        (PAGE, "x" * 2_049, 204, None),
        (PAGE, 'a"b', 204, None),
        ("https://evil.example", "authorization", 503, None),
        (None, "authorization", 503, None),
    ],
)
def test_while_the_service_is_away_preflights_of_its_pages_succeed(between, origin, asked, status, allowed):
    given = {"Access_Control_Request_Method": "PATCH", "Origin": origin, "Access_Control_Request_Headers": asked}
    given = {name: value for name, value in given.items() if value is not None}
    port, holder = reserve_port()
    with holder:
        response = ask(between(port), "OPTIONS", "/api/me/tasks", **given)
    assert (response[0], response[1]["Access-Control-Allow-Headers"]) == (status, allowed)
    assert (response[1]["Access-Control-Allow-Methods"] is not None) == (status == 204)
    assert response[1]["Access-Control-Allow-Origin"] == (origin if status == 204 else None)


# What it lets through.


def test_a_request_id_is_the_same_before_and_behind_the_proxy(proxied):
    _, port = proxied
    for sent, expected in (("mine-1", "mine-1"), ("not ours", None), (None, None)):
        given = {} if sent is None else {"X_Request_ID": sent}
        _, headers, body = ask(port, "GET", "/nowhere", **given)
        assert headers["X-Request-ID"] == json.loads(body)["request_id"]
        assert (headers["X-Request-ID"] == sent) is (expected is not None)


def test_a_task_keeps_its_strong_tag_and_a_list_its_encoding(proxied):
    _, port = proxied
    token = token_for("ann", SECRET)
    status, headers, _ = ask(
        port, "POST", "/api/me/tasks", token=token, body=json.dumps({"title": "x", "description": "milk " * 500}),
        Accept_Encoding="gzip",
    )  # fmt: skip
    task = f"/api/me/{headers['Location']}"
    assert status == 201
    status, headers, body = ask(port, "GET", task, token=token, Accept_Encoding="gzip")
    assert (headers["Content-Encoding"], headers["ETag"]) == (None, f'"{json.loads(body)["revision"]}"')
    for etag in (headers["ETag"], f'W/"{json.loads(body)["revision"] + 1}"'):  # as another proxy might weaken it
        assert ask(port, "PATCH", f"{task}/complete", token=token, If_Match=etag)[0] == 200
    status, headers, body = ask(port, "GET", "/api/me/tasks", token=token, Accept_Encoding="gzip", Origin=PAGE)
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert headers.get_all("Vary") == ["Origin, Accept-Encoding"]
    assert json.loads(gzip.decompress(body))[0]["title"] == "x"
    etag = headers["ETag"]
    assert ask(port, "GET", "/api/me/tasks", token=token, If_None_Match=etag)[0] == 304


def test_the_longest_link_passes(proxied):
    _, port = proxied
    token = token_for("longest", SECRET)
    tags = [f"{number:02}" + "\U0001f600" * 48 for number in range(20)]
    title = "\U0001f600" * 255
    for _ in range(2):
        made = json.dumps({"title": title, "tags": tags})
        assert ask(port, "POST", "/api/me/tasks", token=token, body=made)[0] == 201
    query = "&".join(f"tag={tag[:2]}" + "%F0%9F%98%80" * 48 for tag in tags)
    query += "&sort=title&limit=1&q=" + "%F0%9F%98%80" * 250
    status, headers, _ = ask(port, "GET", f"/api/me/tasks?{query}", token=token)
    assert status == 200
    assert len(headers["Link"]) > 15_000
