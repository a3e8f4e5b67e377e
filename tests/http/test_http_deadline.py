"""Each request has one deadline, which everything on the way to its response spends."""

import asyncio
import time
from typing import Any, NoReturn

from apis import Caller, in_memory
from test_http_bodies import Upload

from todo_adapters.memory import MemoryTasks
from todo_domain import Deadline, Unavailable
from todo_domain.deadline import RESPOND_WITHIN

CALLS = {"create", "get", "page", "replace", "toggle", "delete", "changes"}


class Noting(MemoryTasks):
    """A store that keeps the deadlines of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.deadlines: list[tuple[str, Deadline | None]] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in CALLS:
            return found

        async def noted(*args: Any, deadline: Deadline | None = None, **kwargs: Any) -> Any:
            self.deadlines.append((name, deadline))
            return await found(*args, **kwargs)

        return noted


async def everything(ann: Caller) -> None:
    """Ask for each operation that calls the store."""
    task = await ann.task()
    await ann.read(task)
    await ann.list()
    await ann.state()
    path = f"/tasks/{task['id']}"
    for method, below, members in (
        ("PUT", path, {"title": "y"}),
        ("PATCH", path, {"title": "z"}),
        ("PATCH", f"{path}/complete", {"completed": True}),
        ("PATCH", f"{path}/complete", {}),
    ):
        assert (await ann(method, below, json=members)).status == 200
    assert (await ann("DELETE", path)).status == 204


async def test_every_call_of_the_store_has_the_deadline_of_its_request():
    store = Noting()
    with in_memory(store=store) as api:
        begun = time.monotonic()
        await everything(api.user())
    assert {name for name, _ in store.deadlines} == CALLS
    for name, deadline in store.deadlines:
        assert deadline is not None, name
        assert begun + RESPOND_WITHIN <= deadline.at <= time.monotonic() + RESPOND_WITHIN, name


async def test_the_time_in_which_the_client_sends_its_body_is_its_own():
    store = Noting()
    with in_memory(store=store) as api:
        upload = Upload(api.user())
        await upload.piece(b'{"title": ')
        await asyncio.sleep(0.5)
        await upload.piece(b'"x"}', more=False)
        await asyncio.wait_for(upload.task, 5)
    ((_, deadline),) = store.deadlines
    assert deadline is not None
    assert deadline.left() > RESPOND_WITHIN - 0.4


async def test_the_check_of_a_token_and_of_readiness_have_the_deadline_of_their_request():
    found: list[Deadline | None] = []

    class Keys:
        async def verify(self, token: str, *, deadline: Deadline | None = None) -> NoReturn:  # noqa: ARG002  the port's
            found.append(deadline)
            raise Unavailable("the keys are out of reach")

        async def check(self, *, deadline: Deadline | None = None) -> None:
            found.append(deadline)

    class Checked(MemoryTasks):
        async def check(self, *, deadline: Deadline | None = None) -> None:
            found.append(deadline)

    with in_memory(verifier=Keys(), store=Checked()) as api:
        assert (await api.bare.request("GET", "/api/me/tasks", token="x")).status == 503
        assert (await api.bare.request("GET", "/health/ready")).status == 200
    of_token, of_store, of_keys = found
    assert of_token is not None
    assert of_store is not None
    assert of_store is of_keys is not of_token
