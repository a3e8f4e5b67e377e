"""Handlers are found in a table that is made from Litestar's routes: it leads where Litestar leads, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from apis import Api, in_memory
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar, get
from litestar.exceptions import HTTPException
from litestar.routes import HTTPRoute
from litestar.utils import normalize_path

from support.length import examples
from todo_adapters.http import application
from todo_adapters.http.endpoints.tasks import TaskController
from todo_adapters.http.middleware.authentication import PUBLIC
from todo_adapters.http.middleware.direct_calls import DirectCalls
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.memory import MemoryTasks
from todo_domain import feed

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND", ""]
USERS = ["me", "%6De", "%6d%65", "ann", "%61nn", "100%25", "100%2525", "100%", "a%2Fb", "%C3%BC", "%ff", "ü", "ME"]
KEYS = ["1", "01", "%31", "2", "99", "abc", "undefined", "offline-task-1", "offline%2Dtask-1", "complete", "9" * 30]
FIXED = ["api", "tasks", "trash", "restore", "complete", "changes", "export", "batch", "events", "health", "live"]
ODD = ["", ".", "..", "%2e", "%2F", "{user_id}", "{key}", "Tasks", "tasks ", "tasks%20", "t%61sks", "tasks;a", "docs"]

segments = st.sampled_from([*USERS, *KEYS, *FIXED, *ODD]) | st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=6
)


def app_of(api: Api) -> tuple[DirectCalls, Litestar]:
    """The table of a service, and the application behind it."""
    direct: DirectCalls = api.bare.app._app  # type: ignore[attr-defined]  # the edge around it
    return direct, direct._app


with in_memory() as composed:
    DIRECT, LITESTAR = app_of(composed)

TEMPLATES = sorted({route.path_format for route in LITESTAR.routes})
HANDLERS = {
    (method, route.path_format): handler
    for route in LITESTAR.routes
    if isinstance(route, HTTPRoute)
    for handler in route.route_handlers
    for method in handler.http_methods
    if PUBLIC not in handler.opt and method != "OPTIONS"
}


@st.composite
def paths(draw: st.DrawFn) -> str:
    """A path that has a template's segments, some of them replaced, with more or fewer behind it; or any segments."""
    template = draw(st.sampled_from(TEMPLATES)).split("/")[1:]
    made = [draw(segments) if "{" in part or draw(st.integers(0, 9)) == 0 else part for part in template]
    made = made[: draw(st.integers(0, 20)) or None] + draw(st.lists(segments, max_size=1))
    return "/" + "/".join(draw(st.sampled_from([made, draw(st.lists(segments, max_size=5))])))


def litestar_leads_to(method: str, path: str) -> tuple[Any, str, dict[str, Any]] | None:
    """Handler, template and parameters as Litestar's router finds them; None where it refuses."""
    try:
        _, handler, _, path_params, template = LITESTAR.asgi_router.handle_routing(
            path=normalize_path(path),
            method=method,  # type: ignore[arg-type]  # any text
        )
    except HTTPException:
        return None
    return handler.fn, template, path_params  # type: ignore[union-attr]  # there are HTTP handlers only


@settings(max_examples=examples(100))
@given(st.sampled_from(METHODS), paths())
def test_the_table_leads_where_litestar_leads_or_nowhere(method: str, path: str):
    found = DIRECT.find(method, path)
    assert found is None or tuple(found) == litestar_leads_to(method, path)


some = st.fixed_dictionaries(dict.fromkeys(("user_id", "key"), segments.filter(bool).filter(lambda s: "/" not in s)))


@pytest.mark.parametrize(("method", "template"), sorted(HANDLERS))
@settings(max_examples=examples(5))
@given(some)
def test_every_handler_that_needs_a_token_is_in_the_table(method: str, template: str, values: dict[str, str]):
    handler, found = HANDLERS[method, template], DIRECT.find(method, template.format(**values))
    assert found is not None
    assert found.handler == handler.fn
    assert found.template == template
    assert found.path_params == {name: value for name, value in values.items() if f"{{{name}}}" in template}


def test_public_routes_and_options_are_left_to_litestar():
    for method, path in (("GET", "/health/live"), ("GET", "/docs/start.js"), ("OPTIONS", "/api/me/tasks")):
        assert DIRECT.find(method, path) is None
        assert litestar_leads_to(method, path) is not None


class Pinned(TaskController):
    """A fixed segment where the routes of tasks have a name, and a name that is for numbers."""

    @get("/pinned", status_code=200)
    async def pinned(self, request: TaskRequest) -> None: ...

    @get("/{key:str}/notes/{note:int}", status_code=200)
    async def note(self, request: TaskRequest) -> None: ...


def test_a_route_that_another_goes_before_is_left_to_litestar(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(application, "TaskController", Pinned)
    with in_memory() as api:
        direct, _ = app_of(api)
    assert direct.find("GET", "/api/me/tasks/7") is None
    assert direct.find("PATCH", "/api/me/tasks/pinned/complete") is None  # 404: the trie does not turn back
    assert direct.find("GET", "/api/me/tasks/7/notes/1") is None
    found = direct.find("GET", "/api/me/tasks/pinned")
    assert found is not None
    assert found.template == "/api/{user_id}/tasks/pinned"
    assert direct.find("GET", "/api/me/trash") is not None


def filled(*, by_litestar: bool) -> Api:
    """A service with a clock that stands still; without the table if Litestar is to route everything."""
    with in_memory(store=MemoryTasks(), clock=lambda: datetime(2026, 11, 28, tzinfo=UTC)) as api:
        if by_litestar:
            app_of(api)[0]._shapes.clear()
        return api


@pytest.fixture(scope="module", autouse=True)
def _same_secrets() -> Iterator[None]:
    """Both services make the same feeds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "token_bytes", bytes)
        yield


PAIR = filled(by_litestar=False), filled(by_litestar=True)
"""Both are sent the same, so they always hold the same."""


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[str, str, str, bytes]:
    """Method, target, user and body of a request."""
    user = draw(st.sampled_from(["me", "ann", "100%", "a/b", "ü"]))
    path = draw(
        paths()
        | st.sampled_from(TEMPLATES).map(lambda path: path.format(user_id="me", key="1", name="x", token="x.ics"))
    )
    path = path.replace("/api/me/", f"/api/{quote(user, safe='')}/") if draw(st.booleans()) else path
    path = "".join(f"%{ord(c):02X}" if draw(st.integers(0, 30)) == 0 and c != "/" else c for c in path)
    query = draw(st.sampled_from(["", "", "?limit=1", "?x=1", "?limit=0"]))
    body = draw(st.sampled_from([b"", b'{"title": "x"}', b"{", b"null", b'{"completed": true}']))
    return draw(st.sampled_from(METHODS)), path + query, user, body


@given(st.lists(exchanges(), min_size=1, max_size=8), st.sampled_from(["", "/todo", "/api", "/v1/a b"]))
async def test_with_and_without_the_table_the_responses_are_the_same_bytes(
    sent: list[tuple[str, str, str, bytes]], mount: str
):
    exchange = [("POST", "/api/me/tasks", "me", b'{"title": "first"}'), *sent]
    for number, (method, target, user, body) in enumerate(exchange):
        if "/events" in target or "/metrics" in target:
            continue  # a stream does not end, and numbers are never the same
        with_table, without = [
            await response_of(api, mount, method, target, api.token(user), body, number) for api in PAIR
        ]
        assert with_table == without, (method, target)


async def response_of(api: Api, mount: str, method: str, target: str, token: str, body: bytes, number: int) -> Any:
    """What the application sends, message by message."""
    raw, _, query = target.encode("latin-1").partition(b"?")
    below = quote(mount).encode()
    scope = {
        "type": "http",
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
        "method": method,
        "root_path": mount,
        "path": mount + target,
        "raw_path": below + raw,
        "query_string": query,
        "headers": [
            (b"authorization", b"Bearer " + token.encode()),
            (b"content-type", b"application/json"),
            (b"x-request-id", b"%d" % number),
        ],
        "state": {},
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await api.bare.app(scope, receive, send)  # type: ignore[attr-defined]  # the application
    return sent
