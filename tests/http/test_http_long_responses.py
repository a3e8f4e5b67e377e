"""Long responses: they say what short ones say, in pieces; the memory that they take is bounded and comes back."""

import asyncio
import gzip
import json
from contextlib import suppress

import pytest
from apis import Api, Caller, in_memory
from client import InProcess, scope_of

from todo_adapters.http.protocol.response import PIECE, Response
from todo_adapters.http.protocol.response_memory import ResponseMemory
from todo_domain.query import SHORT_PAGE

TASKS = SHORT_PAGE + 20
TEXTS = ["milk " * 300, 'молоко " \\ ' * 200, "\U0001f600\n\t" * 400, None, "a" * 5_000]
MEMORY = 1_048_576


async def filled(user: Caller) -> Caller:
    """A user whose list has several pieces, and who has deleted some tasks."""
    made = [await user.task(title=f"{n}", description=TEXTS[n % len(TEXTS)], tags=["é"]) for n in range(TASKS)]
    for task in made[5:100:30]:
        await user("DELETE", f"/tasks/{task['id']}")
    return user


@pytest.fixture
async def reader(api: Api) -> Caller:
    return await filled(api.user())


def compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


async def test_a_long_list_holds_the_tasks_of_its_pages(reader: Caller):
    response = await reader("GET", "/tasks")
    assert len(response.body) > 3 * PIECE
    assert response.body == compact(response.json())
    assert len(response.json()) == TASKS - 4
    assert response.json()[:SHORT_PAGE] == await reader.list(f"?limit={SHORT_PAGE}")
    assert [await reader.read(task) for task in response.json()[::40]] == response.json()[::40]


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("/tasks", "/tasks?limit=1"),
        ("/tasks?limit=110", "/tasks?limit=1"),
        ("/tasks?q=a&sort=title", "/tasks?q=a&sort=title&limit=1"),
        ("/changes", "/changes?since=S&limit=1"),
        ("/changes?since=S", "/changes?since=S&limit=1"),
    ],
)
async def test_a_long_response_differs_from_a_short_one_in_its_framing_alone(reader: Caller, long: str, short: str):
    since = str((await reader.state())["tasks"][0]["revision"] - 1)
    responses = [await reader("GET", below.replace("=S", f"={since}")) for below in (long, short)]
    assert [response.status for response in responses] == [200, 200]
    assert responses[0].body == compact(responses[0].json())
    of_the_message = {"content-length", "transfer-encoding", "date", "x-request-id", "link"}
    headers = [[header for header in response.headers if header[0] not in of_the_message] for response in responses]
    assert headers[0] == headers[1]
    if long.startswith("/changes"):
        assert list(responses[0].json()) == list(responses[1].json()) == ["tasks", "deleted", "revision", "has_more"]
        assert len(responses[0].json()["deleted"]) == (4 if "since" in long else 0)


async def test_a_long_response_to_head_has_its_headers_and_no_body(reader: Caller):
    got, head = await reader("GET", "/tasks?limit=110"), await reader("HEAD", "/tasks?limit=110")
    assert (head.status, head.body) == (200, b"")
    assert head.header("etag") == got.header("etag") is not None
    assert head.header("link") == got.header("link") is not None


async def test_a_long_response_may_be_spared_and_compressed(reader: Caller):
    got = await reader("GET", "/tasks")
    known = await reader("GET", "/tasks", headers=[("if-none-match", got.header("etag"))])
    assert (known.status, known.body) == (304, b"")
    packed = await reader("GET", "/tasks", headers=[("accept-encoding", "gzip")])
    assert gzip.decompress(packed.body) == got.body


class Slow:
    """A client that takes one message of a response at a time; `taken` are those."""

    def __init__(self, api: Api, caller: Caller, below: str = "/tasks", **scope: str) -> None:
        assert isinstance(api.bare, InProcess)
        self.taken: list[dict] = []
        self._taking = asyncio.Event()
        self.reads = asyncio.Semaphore(0)
        headers = [(b"authorization", b"Bearer " + caller.token.encode())]
        sent = {**scope_of("GET", f"/api/me{below}".encode(), headers), **scope}
        self.task = asyncio.create_task(api.bare.app(sent, self._receive, self._send))

    async def _receive(self):
        await asyncio.Event().wait()

    async def _send(self, message):
        self.taken.append(message)
        self._taking.set()
        await self.reads.acquire()

    async def begun(self):
        await self.has(1)

    async def has(self, messages: int):
        while len(self.taken) < messages:
            self._taking.clear()
            await self._taking.wait()

    async def read_all(self) -> bytes:
        for _ in range(10_000):
            self.reads.release()
        await self.task
        return b"".join(message.get("body", b"") for message in self.taken)

    async def gone(self):
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
async def slow_service():
    """A service in this process with room for 1 MiB of responses, that memory, and five users."""
    memory = ResponseMemory(MEMORY)
    with in_memory(response_memory=memory) as api:
        yield api, memory, [await filled(api.user()) for _ in range(5)]


async def test_a_response_is_made_as_fast_as_the_client_reads_it(slow_service):
    api, memory, (user, *_) = slow_service
    slow = Slow(api, user)
    await slow.begun()
    held = memory.held
    assert held > 3 * PIECE
    for number in range(1, 4):
        slow.reads.release()
        await slow.has(number + 1)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(slow.taken) == number + 1
        assert len(slow.taken[-1]["body"]) < PIECE + 30_000
        assert memory.held == held
    assert json.loads(await slow.read_all()) == await user.list()
    assert memory.held == 0


@pytest.mark.parametrize("reads", [0, 2])
async def test_a_reader_that_goes_away_gives_the_memory_of_its_response_back(slow_service, reads):
    api, memory, (user, *_) = slow_service
    slow = Slow(api, user)
    await slow.begun()
    for number in range(reads):
        slow.reads.release()
        await slow.has(number + 2)
    assert memory.held > 0
    await slow.gone()
    assert memory.held == 0


async def test_with_many_slow_readers_the_next_long_list_is_503_and_short_ones_go_on(slow_service):
    api, memory, users = slow_service
    slow = [Slow(api, user) for user in users[:4] * 2]
    for one in slow:
        await one.begun()  # those that find no room have waited for it
    statuses = [one.taken[0]["status"] for one in slow]
    assert statuses[0] == 200
    assert 503 in statuses
    assert memory.held <= MEMORY + memory._largest.size

    refused = await api.bare.request("GET", "/api/me/tasks", token=users[4].token)
    assert (refused.status, refused.header("retry-after"), refused.json()["code"]) == (503, "1", "unavailable")
    assert len(await users[4].list("?limit=20")) == 20
    assert (await users[4]("HEAD", "/tasks?limit=1")).status == 200

    await asyncio.gather(*(one.gone() for one in slow))
    assert memory.held == 0
    assert len(await users[4].list()) == TASKS - 4


async def test_a_client_of_http_1_0_is_told_the_length(slow_service):
    api, _, (user, *_) = slow_service
    old = Slow(api, user, http_version="1.0")
    body = await old.read_all()
    assert dict(old.taken[0]["headers"])[b"content-length"] == b"%d" % len(body)
    assert json.loads(body) == await user.list()


async def test_a_large_body_that_is_at_hand_is_sent_in_pieces_too():
    sent = []

    async def send(message):
        sent.append(message)

    await Response(200, b"x" * (3 * PIECE + 1))({}, None, send)
    assert [len(message["body"]) for message in sent[1:]] == [PIECE, PIECE, PIECE, 1]
    assert [message["more_body"] for message in sent[1:]] == [True, True, True, False]
    assert (b"content-length", b"%d" % (3 * PIECE + 1)) in sent[0]["headers"]
