"""The bodies that a process holds at once are bounded: beyond the bound a body is 503, and room comes back."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from apis import Api, Caller, in_memory
from client import scope_of

LIMIT = 100_000
BODY = b'{"title": "x"}'


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    with in_memory(bodies_limit=LIMIT) as api:
        yield api


class Upload:
    """A create whose body comes as the test says, in the application of this process."""

    def __init__(self, ann: Caller) -> None:
        self.messages: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.statuses: list[int] = []
        headers = [(b"authorization", b"Bearer " + ann.token.encode()), (b"content-type", b"application/json")]
        scope = scope_of("POST", b"/api/me/tasks", headers)
        self.task = asyncio.create_task(ann.api.bare.app(scope, self.messages.get, self._send))

    async def _send(self, message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])
            self.headers = dict(message["headers"])

    async def piece(self, body: bytes, *, more: bool = True) -> None:
        self.messages.put_nowait({"type": "http.request", "body": body, "more_body": more})
        while not self.messages.empty() and not self.task.done():  # noqa: ASYNC110  a queue tells nobody that it is empty
            await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_a_body_beyond_the_bound_is_503_and_one_that_ends_makes_room(api: Api):
    ann = api.user()
    first, second = Upload(ann), Upload(ann)
    await first.piece(b" " * 60_000)
    await second.piece(b" " * 60_000)
    await asyncio.wait_for(second.task, 5)
    assert second.statuses == [503]
    assert second.headers[b"retry-after"] == b"1"
    await first.piece(BODY, more=False)
    await asyncio.wait_for(first.task, 5)
    assert first.statuses == [201]
    third = Upload(ann)
    await third.piece(b" " * 60_000)
    await third.piece(BODY, more=False)
    await asyncio.wait_for(third.task, 5)
    assert third.statuses == [201]


async def test_one_user_holds_a_quarter_at_most_so_that_the_bodies_of_others_have_room():
    with in_memory(bodies_limit=400_000, body_limit=60_100, batch_limit=60_100, import_limit=60_100) as api:
        ann, bob = api.user(), api.user()
        held = [Upload(ann) for _ in range(8)]
        for upload in held:
            await upload.piece(b" " * 60_000)
        refused = [upload for upload in held if upload.statuses]
        assert [upload.statuses for upload in refused] == [[503]] * 7
        assert refused[0].headers[b"retry-after"] == b"1"
        other = Upload(bob)
        await other.piece(b" " * 60_000)
        await other.piece(BODY, more=False)
        await asyncio.wait_for(other.task, 5)
        assert other.statuses == [201]
        await held[0].piece(BODY, more=False)
        await asyncio.wait_for(held[0].task, 5)
        assert held[0].statuses == [201]


@pytest.mark.parametrize("end", ["the client goes away", "too large", "not JSON"])
async def test_however_a_request_ends_its_body_makes_room(api: Api, end: str):
    ann = api.user()
    for _ in range(5):
        upload = Upload(ann)
        await upload.piece(b" " * 60_000)
        if end == "the client goes away":
            upload.messages.put_nowait({"type": "http.disconnect"})
        else:
            await upload.piece(b" " * 20_000 if end == "too large" else b"x", more=False)
        await asyncio.wait_for(upload.task, 5)
        assert upload.statuses == [413 if end == "too large" else 400]


@pytest.mark.parametrize(("size", "status"), [(70_000, 201), (70_001, 413)])
async def test_the_longest_body_has_room_and_a_longer_one_is_413_however_narrow_the_bound_is(size: int, status: int):
    with in_memory(body_limit=70_000, bodies_limit=70_000) as api:
        json = [("content-type", "application/json")]
        assert (await api.user()("POST", "/tasks", body=BODY.ljust(size), headers=json)).status == status
