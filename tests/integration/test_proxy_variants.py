"""The variants of docs/proxies.md at work, as that page has them: one origin, and a path prefix in two ways."""

import json
import re
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urljoin

import pytest

from servers.nginx import LOCATION, proxying, variant
from servers.processes import LOOPBACK
from servers.todo import Served, token_for

SECRET = "5e0f7c1b9a3d8642c7e1f0a95b3d2c48"
PROXIES = (Path(__file__).parents[2] / "docs/proxies.md").read_text()
TARGET = "        default $request_uri;\n"


@contextmanager
def one_origin(directory):
    """A page and its API behind one proxy; yields where the API begins."""
    page = directory / "page"
    page.mkdir()
    (page / "index.html").write_text("the page")
    (page / "app.js").write_text("// the script")
    with Served(directory, TODO_JWT_SECRET=SECRET) as served:
        changes = {LOCATION: variant("one origin").replace("/srv/todo-page", str(page))}
        with proxying(directory, served.port, changes=changes) as port:
            yield f"http://{LOOPBACK}:{port}/"


@contextmanager
def prefix(directory):
    with Served(directory, TODO_JWT_SECRET=SECRET) as served:
        (added,) = re.findall(r"`(\S+ \$1;)` into `map \$request_uri \$target`", PROXIES)
        changes = {LOCATION: variant("path prefix"), TARGET: f"{TARGET}        {added}\n"}
        with proxying(directory, served.port, changes=changes) as port:
            yield f"http://{LOOPBACK}:{port}/todo/"


@contextmanager
def short_prefix(directory):
    with Served(directory, TODO_JWT_SECRET=SECRET) as served:
        (short,) = re.findall(r"`(location /todo/ \{.*?\})`", PROXIES)
        changes = {LOCATION: short.replace(":8000", f":{served.port}") + "\n"}
        with proxying(directory, served.port, changes=changes) as port:
            yield f"http://{LOOPBACK}:{port}/todo/"


VARIANTS = {one.__name__: one for one in (one_origin, prefix, short_prefix)}


@pytest.fixture(scope="module", params=VARIANTS)
def deployed(request, tmp_path_factory):
    """The name of a variant, and the URL that everything is below."""
    with VARIANTS[request.param](tmp_path_factory.mktemp(request.param)) as base:
        yield request.param, base


def ask(method, url, token, body=None):
    host, _, path = url.removeprefix("http://").partition("/")
    connection = HTTPConnection(host, timeout=20)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, f"/{path}", None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_every_reference_leads_on(deployed):
    _, base = deployed
    token = token_for("walker", SECRET)
    tasks = urljoin(base, "api/me/tasks")
    for number in range(3):
        status, headers, made = ask("POST", tasks, token, {"title": f"{number}"})
        assert status == 201
        assert ask("GET", urljoin(tasks, headers["Location"]), token)[2] == made
    page, seen = f"{tasks}?limit=1", []
    while page:
        status, headers, body = ask("GET", page, token)
        assert status == 200
        seen += [task["title"] for task in json.loads(body)]
        link = headers["Link"]
        page = link and urljoin(page, link[1 : link.index(">")])
    assert seen == ["2", "1", "0"]


def test_a_user_id_with_a_slash_has_an_address(deployed):
    name, base = deployed
    token = token_for("a/b", SECRET)
    assert ask("POST", urljoin(base, "api/me/tasks"), token, {"title": "x"})[0] == 201
    status, _, _ = ask("GET", urljoin(base, "api/a%2Fb/tasks"), token)
    assert status == (404 if name == "short_prefix" else 200)


def test_what_belongs_to_others_stays_theirs(deployed):
    name, base = deployed
    status, headers, body = ask("GET", urljoin(base, "/nowhere"), "x")
    if name == "one_origin":
        assert (status, headers["Content-Type"], body) == (200, "text/html", b"the page")
        assert ask("GET", urljoin(base, "/health/ready"), "x")[2] == b"the page"
        assert "javascript" in ask("GET", urljoin(base, "/app.js"), "x")[1]["Content-Type"]
    else:
        assert status == 404
