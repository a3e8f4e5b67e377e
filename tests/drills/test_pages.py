"""Pages in a real browser that use the service through the shipped proxy: of another origin, and of the same one."""

import json
import subprocess
import sys

import pytest

from servers import browser
from servers.browser import Browser
from servers.nginx import LOCATION, proxying, variant
from servers.processes import LOOPBACK, ServerProcess, free_port
from servers.todo import Served, token_for

SECRET = "5e0f7c1b9a3d8642c7e1f0a95b3d2c48"
CALL = """
const [name, url, options] = arguments;
fetch(url, {...options, headers: {"Content-Type": "application/json", ...options.headers}})
  .then(async (response) => {
    const text = await response.text();
    window[name] = {
      status: response.status, etag: response.headers.get("ETag"), wait: response.headers.get("Retry-After"),
      location: response.headers.get("Location"), url: response.url, body: text ? JSON.parse(text) : null,
    };
  })
  .catch((error) => { window[name] = {failed: String(error)}; });
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A service, its proxy, and a page of another origin that may use it."""
    browser.require()
    directory = tmp_path_factory.mktemp("pages")
    (directory / "files").mkdir()
    (directory / "files" / "index.html").write_text("<!doctype html><title>a page</title>")
    page = free_port()
    origin = f"http://{LOOPBACK}:{page}"
    files = [
        sys.executable,
        "-m",
        "http.server",
        str(page),
        "--bind",
        LOOPBACK,
        "--directory",
        str(directory / "files"),
    ]
    settings = {"TODO_JWT_SECRET": SECRET, "TODO_CORS_ORIGINS": origin, "TODO_TRUSTED_PROXIES": LOOPBACK}
    with (
        ServerProcess(files, logs=directory, name="files", cwd=directory) as server,
        Served(directory, **settings) as served,
        proxying(directory, served.port, origins=[origin]) as port,
        Browser(directory) as window,
    ):
        server.wait_for_port(page)
        window.open(origin)
        yield Page(window, f"http://{LOOPBACK}:{port}"), served


class Page:
    """The page: it calls the API with a token, as a front end does."""

    def __init__(self, window, api):
        self.window = window
        self.api = api
        self._calls = 0

    def call(self, method, path, body=None, **headers):
        self._calls += 1
        name = f"response{self._calls}"
        given = {"Authorization": f"Bearer {token_for('ann', SECRET)}"}
        given |= {header.replace("_", "-"): value for header, value in headers.items()}
        options = {"method": method, "headers": given, "cache": "no-store"}
        if body is not None:
            options["body"] = json.dumps(body)
        self.window.run(CALL, name, f"{self.api}{path}", options)
        return self.window.wait(f"return window.{name}")


def test_a_page_of_another_origin_reads_edits_under_a_condition_and_follows_references(pages):
    page, _ = pages
    made = page.call("POST", "/api/me/tasks", {"title": "x", "description": "milk " * 500})
    assert made["status"] == 201
    place = page.window.run("return new URL(arguments[0], arguments[1]).pathname", made["location"], made["url"])
    read = page.call("GET", place)
    assert (read["status"], read["etag"]) == (200, f'"{read["body"]["revision"]}"')
    edited = page.call("PATCH", place, {"title": "y"}, If_Match=read["etag"])
    assert (edited["status"], edited["body"]["title"]) == (200, "y")
    assert page.call("PATCH", place, {"title": "z"}, If_Match=read["etag"])["status"] == 412
    assert page.call("GET", "/api/me/tasks")["body"][0]["title"] == "y"


def test_a_page_with_tracing_headers_is_let_through(pages):
    page, _ = pages
    more = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "baggage": "a=b", "sentry_trace": "x", "Prefer": "respond"}
    assert page.call("GET", "/api/me/tasks", X_Requested_With="fetch", **more)["status"] == 200


@pytest.mark.parametrize(
    ("method", "path", "size", "status", "code"),
    [
        ("GET", "/api/me/nope", None, 404, "not_found"),
        ("POST", "/api/me/tasks", 70_000, 413, "too_large"),
        ("POST", "/api/me/tasks", 2_000_000, 413, "too_large"),
        ("GET", "/metrics", None, 404, "not_found"),
    ],
)
def test_the_page_can_read_each_refusal_whoever_gives_it(pages, method, path, size, status, code):
    page, _ = pages
    response = page.call(method, path, None if size is None else {"title": "x" * size})
    assert (response.get("status"), response.get("body", {}).get("code")) == (status, code), response


def test_the_page_can_read_that_its_headers_are_too_long(pages):
    """A target that is too long is refused in its preflight already, of which a page reads nothing."""
    page, _ = pages
    response = page.call("GET", "/api/me/tasks", X_Long="x" * 17_000)
    assert (response.get("status"), response.get("body", {}).get("code")) == (431, "too_large"), response


def test_while_the_service_is_away_the_page_reads_503_and_how_long_to_wait(pages):
    page, served = pages
    served.process.stop()
    response = page.call("PUT", "/api/me/tasks/1", {"title": "x"}, X_Never_Asked_Before="1")
    assert (response.get("status"), response.get("wait")) == (503, "1"), response
    assert response["body"]["code"] == "unavailable"


def test_a_page_of_the_same_origin_needs_no_preflight(tmp_path):
    browser.require()
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("<!doctype html><title>a page</title>")
    place = {LOCATION: variant("one origin").replace("/srv/todo-page", str(tmp_path / "page"))}
    with (
        Served(tmp_path, TODO_JWT_SECRET=SECRET) as served,
        proxying(tmp_path, served.port, changes=place) as port,
        Browser(tmp_path) as window,
    ):
        window.open(f"http://{LOOPBACK}:{port}/")
        page = Page(window, "")
        assert page.call("POST", "/api/me/tasks", {"title": "x"})["status"] == 201
        assert page.call("PATCH", "/api/me/tasks/1/complete", If_Match='"0"')["status"] == 412
        numbers = subprocess.run(["curl", "-s", f"{served.origin}/metrics"], capture_output=True, text=True, check=True)
    assert 'method="PATCH"' in numbers.stdout
    assert 'method="OPTIONS"' not in numbers.stdout
