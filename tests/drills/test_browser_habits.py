"""What docs/clients.md says of browsers, in a real one: its cache, its preflights, and requests that it sends again."""

import json
import socket
from contextlib import suppress
from itertools import count

import pytest

from servers import browser
from servers.browser import Browser
from servers.pages import another_origin
from servers.tampering import TamperingProxy
from servers.todo import Served
from servers.upstream import message


class LosingProxy(TamperingProxy):
    """Passes requests on; loses the response of the next PATCH on a kept connection, and closes that connection."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.patches = 0
        self.lost = 0

    def serve(self, client):
        with suppress(OSError), client, socket.create_connection(self.target) as service:
            kept = False
            while request := message(client):
                service.sendall(request)
                response = message(service)
                self.patches += request.startswith(b"PATCH")
                if self._loses(request, kept=kept):
                    self.lost += 1
                    return
                client.sendall(response)
                kept = True

    def _loses(self, request, *, kept):
        return kept and request.startswith(b"PATCH") and not self.lost


class EveryThird(LosingProxy):
    """Loses every third response, of whatever request, and closes its connection."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._responses = count(1)

    def _loses(self, request, *, kept):  # noqa: ARG002  of whatever request
        return next(self._responses) % 3 == 0


FETCH = """
const [url, token, headers, how] = arguments;
window.fetched = null;
fetch(url, { ...how, headers: { Authorization: `Bearer ${token}`, ...headers } })
    .then(async (response) => {
        window.fetched = [response.status, await response.text(), response.headers.get("ETag")];
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


CLICKS = """
const [api, token, tasks, clicks] = arguments;
async function send(method, path, headers, body) {
  for (;;) {
    const response = await fetch(api + path, {
      method, body, headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...headers },
    }).catch(() => null); // the response was lost, and Chromium did not send the request again by itself
    if (response?.ok) return;
    if (response && response.status !== 503) throw new Error(`${method} ${path}: ${response.status}`);
  }
}
async function click() {
  const shown = tasks.map(() => false);
  for (let number = 0; number < clicks; number++) {
    const which = number % tasks.length;
    const key = (action) => ({ "Idempotency-Key": `${action}-${number}` });
    shown[which] = !shown[which];
    const set = Math.floor(number / tasks.length) % 2 ? JSON.stringify({ completed: shown[which] }) : undefined;
    await send("PATCH", `/${tasks[which]}/complete`, set ? {} : key("click"), set);
    await send("POST", "", key("make"), JSON.stringify({ title: `made ${number}` }));
  }
  return shown;
}
window.clicked = null;
click().then((shown) => { window.clicked = shown; }, (error) => { window.clicked = String(error); });
"""


def test_clicks_and_creates_through_a_network_that_loses_every_third_response_end_as_clicked(served, page):
    token = served.token("ann")
    tasks = [served.request("POST", "/api/me/tasks", token, {"title": "clicked"}).body["id"] for _ in range(7)]
    with EveryThird(served.port) as proxy:
        page.run(CLICKS, f"http://127.0.0.1:{proxy.port}/api/me/tasks", token, tasks, 200)
        shown = page.wait("return window.clicked", seconds=120)
    assert isinstance(shown, list), shown
    assert proxy.lost > 130  # of 400 requests and their repetitions, preflights included
    listed = served.request("GET", "/api/me/tasks", token).body
    completed = {task["id"]: task["completed"] for task in listed}
    assert [completed[task] for task in tasks] == shown
    assert sorted(task["title"] for task in listed if task["id"] not in tasks) == sorted(
        f"made {number}" for number in range(200)
    )
