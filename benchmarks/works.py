"""The measured requests, and the files from which a load generator reads them.

Every work has users of its own, so that its writes do not affect other works. Consecutive requests come from different
users.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Final, NamedTuple

import jwt

from benchmarks.data import TASKS, USERS, first_task, user_name
from servers import wrk
from servers.wrk import NUMBER

SECRET: Final = "known-to-nobody-but-the-servers-of-the-benchmark"
"""The secret of every contender (HS256)."""

_LIFETIME: Final = 7_200
_EACH: Final = 200  # users
_REQUESTS: Final = 4_000


class Request(NamedTuple):
    """A request, and the name of its operation."""

    operation: str
    user: str
    method: str
    path: str
    body: str = ""


Form = Callable[[str, int], Request]


def get(user: str, task: int) -> Request:
    """Read one task."""
    return Request("get", user, "GET", f"/api/{user}/tasks/{task}")


def list_(user: str, _: int) -> Request:
    """List the newest 20 tasks."""
    return Request("list", user, "GET", f"/api/{user}/tasks?limit=20")


def create(user: str, _: int) -> Request:
    """Create a task."""
    body = json.dumps({"title": f"Buy groceries {NUMBER}", "description": "Milk, eggs and bread"})
    return Request("create", user, "POST", f"/api/{user}/tasks", body)


def edit(user: str, task: int) -> Request:
    """Give a task a title that it never had."""
    return Request("edit", user, "PATCH", f"/api/{user}/tasks/{task}", json.dumps({"title": f"Call {NUMBER}"}))


def toggle(user: str, task: int) -> Request:
    """Complete a task or reopen it."""
    return Request("toggle", user, "PATCH", f"/api/{user}/tasks/{task}/complete")


class Work(NamedTuple):
    """A kind of load: a request of each form in turn, from these users."""

    name: str
    forms: tuple[Form, ...]
    users: range


_READS: Final = (get, list_)
_MIXED: Final = tuple(form for write in (create, edit, toggle) for form in (*_READS * 2, write))

WORKS: Final = {
    work.name: work
    for work in (
        Work("get", (get,), range(1, 1 + _EACH)),
        Work("list", (list_,), range(1, 1 + _EACH)),
        Work("create", (create,), range(USERS - _EACH + 1, USERS + 1)),
        Work("edit", (edit,), range(1 + _EACH, 1 + 2 * _EACH)),
        Work("toggle", (toggle,), range(1 + 2 * _EACH, 1 + 3 * _EACH)),
        Work("mixed", _MIXED, range(1 + 3 * _EACH, 1 + 4 * _EACH)),
    )
}
"""By name. `mixed` is 40% get, 40% list and 20% writes, of each kind as many."""


def requests(work: Work, *, seed: int = 1) -> Iterator[Request]:
    """Yield the requests of a work: the same for each contender and round."""
    chance = random.Random(seed)
    for number in range(_REQUESTS):
        # Each pass starts one user later, so that each user sends a request of every form.
        user = work.users[(number + number // len(work.users)) % len(work.users)]
        form = work.forms[number % len(work.forms)]
        yield form(user_name(user), first_task(user) + chance.randrange(TASKS))


def token(user: str) -> str:
    """Sign a token that outlives the run."""
    now = int(time.time())
    return jwt.encode({"sub": user, "iat": now, "exp": now + _LIFETIME}, SECRET, algorithm="HS256")


def encoded(asked: Iterable[Request]) -> bytes:
    """Return the contents of a file of these requests."""
    signed = cache(token)
    return wrk.encoded(wrk.message(each.method, each.path, signed(each.user), each.body) for each in asked)
