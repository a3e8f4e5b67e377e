"""What a request costs this process, in function calls: the same on every machine, so a hot path cannot quietly grow.

The requests go through everything that is on by default, over the memory store. Python and the locked packages decide
the numbers too; where a new release of one of them moves them, so may the bounds below.
"""

import sys
import time
from collections import Counter
from itertools import count
from types import FrameType
from typing import Any

import jwt
import pytest

from todo_app.compose import application
from todo_app.settings import read_settings

SECRET = "a-secret-of-at-least-thirty-two-bytes"
TASKS = 21

BOUNDS = {
    "get": 162,
    "list 20": 402,
    "create": 266,
    "edit": 294,
    "toggle": 198,
}
"""Calls for each request: what was measured, and a tenth more."""


class Server:
    """The application as a server calls it."""

    def __init__(self) -> None:
        chosen = {"TODO_DATABASE_URL": "memory:", "TODO_JWT_SECRET": SECRET, "TODO_AUDIT_LOG": "/dev/null"}
        self._app: Any = application(read_settings(environment=chosen))
        token = jwt.encode({"sub": "ann", "exp": int(time.time()) + 600}, SECRET, "HS256")
        self._headers = [
            (b"host", b"127.0.0.1:8000"),
            (b"authorization", b"Bearer " + token.encode()),
            (b"content-type", b"application/json"),
        ]

    async def __call__(self, method: str, path: str, query: bytes = b"", body: bytes = b"") -> int:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "root_path": "",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": self._headers,
            "state": {},
        }
        statuses = []

        async def send(message: dict[str, Any]) -> None:
            if "status" in message:
                statuses.append(message["status"])

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive, send)
        return statuses[0]


@pytest.fixture
async def server() -> Server:
    started = Server()
    for number in range(TASKS):
        assert await started("POST", "/api/me/tasks", body=b'{"title": "Task %d"}' % number) == 201
    return started


numbers = count()
REQUESTS = {
    "get": lambda: ("GET", "/api/me/tasks/7"),
    "list 20": lambda: ("GET", "/api/me/tasks", b"limit=20"),
    "create": lambda: ("POST", "/api/me/tasks", b"", b'{"title": "Buy groceries", "description": "milk and eggs"}'),
    "edit": lambda: ("PATCH", "/api/me/tasks/7", b"", b'{"title": "Edited %d"}' % next(numbers)),
    "toggle": lambda: ("PATCH", "/api/me/tasks/7/complete"),
}


async def calls(server: Server, *request: Any) -> Counter[str]:
    """Return how often which function is called while the request is served."""
    seen: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            seen[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            seen[argument.__qualname__] += 1

    sys.setprofile(note)
    try:
        status = await server(*request)
    finally:
        sys.setprofile(None)
    assert status < 300
    return seen


@pytest.mark.parametrize("work", BOUNDS)
async def test_no_request_costs_markedly_more_calls_than_it_did(server: Server, work: str) -> None:
    for _ in range(3):
        await server(*REQUESTS[work]())
    found = min([await calls(server, *REQUESTS[work]()) for _ in range(3)], key=Counter.total)
    print(work, found.total(), found.most_common(12))  # noqa: T201  the figures, for -s
    assert found.total() <= BOUNDS[work], found.most_common(30)
