"""`/docs` in a real browser: a newcomer pastes a token, creates a task and sees it."""

import json
import os
from pathlib import Path

import pytest

from servers import browser
from servers.browser import Browser
from servers.nginx import proxying
from servers.todo import Served

CREATE = "#operations-tasks-create_task"
LIST = "#operations-tasks-list_tasks"
RESPONSE = " .live-responses-table .response"
FILLED = """return [...document.querySelectorAll(arguments[0] + " tr[data-param-name]")]
    .filter((row) => [...row.querySelectorAll("input, select")].some((field) => field.value))
    .map((row) => row.dataset.paramName)"""
"""The parameters of an operation that have a value; an example of an optional one would be sent unasked."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    browser.require()
    with Served(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture(scope="module", params=["direct", pytest.param("below a prefix", marks=pytest.mark.long)])
def base(request, served, tmp_path_factory):
    """Where the service begins: at its own port, or at a path of a proxy's."""
    if request.param == "direct":
        yield served.origin
        return
    below = {"location / {": "location /todo/ {", "default $request_uri;": '"~^/todo(/.*)$" $1;'}
    with proxying(tmp_path_factory.mktemp("proxy"), served.port, changes=below) as port:
        yield f"http://127.0.0.1:{port}/todo"


@pytest.fixture
def page(base, tmp_path):
    with Browser(tmp_path, height=1000) as page:
        page.open(f"{base}/docs")
        page.wait("return document.querySelector('.authorize') !== null")
        yield page


def authorise(page, token):
    page.click(".scheme-container .authorize")
    page.type(".auth-container input", token)
    page.click(".auth-btn-wrapper .authorize")
    page.click(".auth-btn-wrapper .btn-done")


def execute(page, operation):
    """Execute an operation as the page proposes it; return the status and body that the page shows."""
    page.click(f"{operation} .opblock-summary-control")
    page.click(f"{operation} .execute")
    shown = page.wait(
        "const response = document.querySelector(arguments[0]);"
        "return response && [response.querySelector('.response-col_status').innerText,"
        " response.querySelector('.highlight-code').innerText]",
        operation + RESPONSE,
    )
    return int(shown[0].split()[0]), json.loads(shown[1].replace("Download", ""))


def test_with_a_pasted_token_a_task_is_created_and_shown_and_no_other_place_is_asked(served, base, page):
    authorise(page, served.token(f"user of {base}"))
    status, task = execute(page, CREATE)
    assert status == 201
    assert task["user_id"] == f"user of {base}"
    assert task["title"]
    assert page.run(FILLED, CREATE) == ["user_id"]
    # The README's picture is made by TODO_TEST_PICTURE=docs/docs-page.png.
    if picture := os.environ.get("TODO_TEST_PICTURE"):
        page.run(
            "document.querySelector(arguments[0]).scrollIntoView({block: 'end'})", f"{CREATE}{RESPONSE} .highlight-code"
        )
        Path(picture).write_bytes(page.screenshot())
    status, listed = execute(page, LIST)
    assert (status, listed) == (200, [task])
    assert page.run(FILLED, LIST) == ["user_id", "sort"]
    requested = page.requested()
    assert f"{base}/api/me/tasks" in requested
    assert {url for url in requested if not url.startswith((base + "/", "data:"))} == set()
    assert page.console() == []


def test_without_a_token_the_page_shows_the_refusal(page):
    status, refusal = execute(page, LIST)
    assert (status, refusal["code"]) == (401, "unauthenticated")


def test_the_policy_holds_a_script_of_the_page_and_other_hosts_off(page):
    page.run(
        "const script = document.createElement('script'); script.text = 'window.ran = 1'; document.body.append(script)"
    )
    page.run("fetch('http://127.0.0.2:9/').catch(() => { window.refused = 1 })")
    page.wait("return window.refused")
    assert page.run("return window.ran === undefined")
    assert sum("Content Security Policy" in line for line in page.console()) >= 2
