"""Clients that wish for another protocol, as curl and the JDK do: their body is the body, with a proxy and without."""

import shutil
import subprocess
import time

import pytest

from servers.nginx import proxying
from servers.todo import Served, token_for
from support.byte_streams import HEALTH, RawConnection
from support.upgrades import SMUGGLED, UPGRADES

SECRET = "0123456789abcdef0123456789abcdef"
TOKEN = token_for("ann", SECRET)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("upgrades"), TODO_JWT_SECRET=SECRET) as served:
        yield served


@pytest.fixture(scope="module", params=["direct", "nginx"])
def port(request, served, tmp_path_factory):
    if request.param == "direct":
        yield served.port
    else:
        with proxying(tmp_path_factory.mktemp("nginx"), served.port) as port:
            yield port


def responses(port, packets):
    """The statuses of all responses, the last of them that of one more request."""
    with RawConnection(port) as client:
        for packet in packets:
            client.send(packet.replace(b"TOKEN", TOKEN.encode()))
            time.sleep(0.05 if packet is not packets[-1] else 0)
        reply = client.reply()
        if reply.closes:
            assert client.reply() is None
            return [reply.status]
        client.send(HEALTH)
        return [reply.status, client.reply().body]


@pytest.mark.parametrize("packets", [1, 2])
@pytest.mark.parametrize("what", UPGRADES)
def test_a_request_body_survives_an_upgrade_header(port, what, packets):
    head, body = UPGRADES[what]
    status, *more = responses(port, [head + body] if packets == 1 else [head, body])
    assert status == 201
    assert more in ([b'{"status":"live"}'], [])


@pytest.mark.parametrize("packets", [1, 2])
@pytest.mark.parametrize("framing", SMUGGLED)
def test_a_body_that_looks_like_a_request_is_not_answered_as_one(port, framing, packets):
    head, body = SMUGGLED[framing]
    assert responses(port, [head + body] if packets == 1 else [head, body]) == [405, b'{"status":"live"}']


def test_curl_completes_a_task_by_http2_as_by_http1(served, port):
    if (curl := shutil.which("curl")) is None:
        pytest.skip("curl is not installed")
    task = served.request("POST", "/api/me/tasks", TOKEN, {"title": "x", "completed": True}).body
    url = f"http://127.0.0.1:{port}/api/me/tasks/{task['id']}/complete"
    for version in ("--http1.1", "--http2"):
        command = [curl, "--silent", version, "-X", "PATCH", url, "-d", '{"completed":true}']
        headers = ["-H", f"Authorization: Bearer {TOKEN}", "-H", "Content-Type: application/json"]
        ran = subprocess.run([*command, *headers], capture_output=True, text=True, timeout=20, check=True)
        assert '"completed":true' in ran.stdout
    assert served.request("GET", f"/api/me/tasks/{task['id']}", TOKEN).body == task
