"""What docs/clients.md says of browsers, in a real one: its cache, its preflights, and requests that it sends again."""

import json
import socket
import threading
from contextlib import suppress

import pytest

from servers import browser
from servers.browser import Browser
from servers.pages import another_origin
from servers.todo import Served
from servers.upstream import message


class LosingProxy:
    """Passes requests on; loses the answer of the next PATCH on a kept connection, and closes that connection."""

    def __init__(self, port: int) -> None:
        self.patches = 0
        self.lost = 0
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with suppress(OSError), client, socket.create_connection(self._target) as service:
            kept = False
            while request := message(client):
                service.sendall(request)
                answer = message(service)
                self.patches += request.startswith(b"PATCH")
                if kept and request.startswith(b"PATCH") and not self.lost:
                    self.lost += 1
                    return
                client.sendall(answer)
                kept = True


FETCH = """
const [url, token, headers, how] = arguments;
window.fetched = null;
fetch(url, { ...how, headers: { Authorization: `Bearer ${token}`, ...headers } })
    .then(async (answer) => {
        window.fetched = [answer.status, await answer.text(), answer.headers.get("ETag")];
    }, (error) => { window.fetched = [0, String(error), null]; });
"""


def fetched(page, url, token, how=None, **headers):
    """Fetch as a page does; return the status, the text and the `ETag` that the page sees."""
    page.run(FETCH, url, token, headers, how or {})
    return page.wait("return window.fetched")


def counted(served, method, status):
    """How many requests to the list the service has answered so."""
    (line,) = [
        line
        for line in served.text("/metrics").splitlines()
        if line.startswith("todo_http_request_duration_seconds_count{")
        and f'method="{method}"' in line
        and f'status="{status}"' in line
        and "/tasks" in line
    ] or ["0"]
    return int(float(line.split()[-1]))


@pytest.fixture(scope="module")
def origin():
    with another_origin() as origin:
        yield origin


@pytest.fixture
def served(origin, tmp_path):
    with Served(tmp_path, TODO_CORS_ORIGINS=origin) as served:
        yield served


@pytest.fixture
def page(origin, tmp_path):
    browser.require()
    with Browser(tmp_path) as page:
        page.open(origin)
        yield page


def test_the_cache_of_a_browser_asks_with_the_tag_and_the_page_has_the_whole_list(served, page):
    token = served.token("ann")
    served.request("POST", "/api/me/tasks", token, {"title": "x"})
    url = f"{served.origin}/api/me/tasks"
    first = fetched(page, url, token)
    again = fetched(page, url, token)
    assert first[0] == 200
    assert again == first
    assert counted(served, "GET", 304) == 1
    served.request("POST", "/api/me/tasks", token, {"title": "y"})
    changed = fetched(page, url, token)
    assert (changed[0], '"y"' in changed[1]) == (200, True)
    by_hand = fetched(page, url, token, **{"If-None-Match": changed[2]})
    assert by_hand[:2] == [304, ""]


def test_from_another_origin_each_url_costs_one_preflight(served, page):
    token = served.token("ann")
    for _ in range(3):
        assert fetched(page, f"{served.origin}/api/me/tasks", token)[0] == 200
    assert counted(served, "OPTIONS", 204) == 1
    for tag in ("home", "work"):
        assert fetched(page, f"{served.origin}/api/me/tasks?tag={tag}", token)[0] == 200
    assert counted(served, "OPTIONS", 204) == 3


@pytest.mark.parametrize(
    ("body", "headers", "completed"),
    [(None, {}, False), (None, {"Idempotency-Key": "k"}, True), ('{"completed": true}', {}, True)],
    ids=["a toggle", "a toggle with a key", "a set"],
)
def test_chromium_sends_a_patch_again_when_a_kept_connection_breaks(served, page, body, headers, completed):
    token = served.token("ann")
    task = served.request("POST", "/api/me/tasks", token, {"title": "x"}).body["id"]
    with LosingProxy(served.port) as proxy:
        api = f"http://127.0.0.1:{proxy.port}/api/me/tasks"
        for _ in range(3):  # a connection that is kept
            assert fetched(page, api, token)[0] == 200
        how = {"method": "PATCH", "body": body} if body else {"method": "PATCH"}
        status, text, _ = fetched(
            page, f"{api}/{task}/complete", token, how, **headers, **{"Content-Type": "application/json"}
        )
    assert (status, proxy.lost, proxy.patches) == (200, 1, 2)
    assert json.loads(text)["completed"] is completed
