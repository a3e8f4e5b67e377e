"""Requests for a task that somebody else has and for one that never was, whose responses must not differ."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from apis import Api, Caller, in_memory

from todo_domain import Tasks

OPERATIONS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "read": ("GET", "", {}),
    "update": ("PUT", "", {"json": {"title": "taken"}}),
    "patch": ("PATCH", "", {"json": {"title": "taken"}, "headers": [("If-Match", '"1"')]}),
    "toggle": ("PATCH", "/complete", {}),
    "delete": ("DELETE", "", {}),
}
"""Each operation on one task: its method, the path below the task, and what else the request has."""


@asynccontextmanager
async def absent_ids(store: Tasks) -> AsyncIterator[tuple[Api, Caller, int, int]]:
    """Serve this store; yield the service, a caller, and two ids that the caller has no task of.

    The ids are of one length: the first is that of somebody else's task, the second is nobody's.
    """
    with in_memory(store=store) as api:
        ann, bob = api.user(), api.user()
        await ann.task()
        for _ in range(10):
            theirs = (await bob.task())["id"]
        yield api, ann, theirs, theirs + 1
