"""The same through a real server and socket: what uvicorn refuses below the service, and what it hands up to it."""

import asyncio

import pytest
from apis import Api, over_uvicorn
from test_http_hostile import SEED, Forge


@pytest.fixture(scope="module")
def served():
    """The service behind uvicorn."""
    with over_uvicorn() as api:
        yield api


async def send(api: Api, request: bytes, count: int) -> list[tuple[int, bytes]]:
    """Send bytes and return the status and the whole of each answer, so many of them if so many come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.bare.port)
    writer.write(request)
    answers = []
    try:
        while len(answers) < count:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            answers.append((int(head[9:12]), head + await reader.readexactly(length)))
    except asyncio.IncompleteReadError:
        pass  # the server has closed
    finally:
        writer.close()
    return answers


HEAD = b"Host: x\r\nAuthorization: Bearer TOKEN\r\n"
LIST = b"GET /api/me/tasks HTTP/1.1\r\n" + HEAD
POST = b"POST /api/me/tasks HTTP/1.1\r\nContent-Type: application/json\r\n" + HEAD

REFUSED_BELOW = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method nobody knows": LIST.replace(b"GET", b"FOO") + b"\r\n",
    "a method in lower case": LIST.replace(b"GET", b"get") + b"\r\n",
    "bytes beyond ASCII in the path": LIST.replace(b"me", b"\xc3\xa9") + b"\r\n",
    "bytes beyond ASCII in the query": LIST.replace(b"tasks", b"tasks?q=\xff") + b"\r\n",
    "a space in the target": LIST.replace(b"tasks", b"tasks x") + b"\r\n",
    "no target": LIST.replace(b"/api/me/tasks", b"") + b"\r\n",
    "a target without a slash": LIST.replace(b"/api/me", b"api/me") + b"\r\n",
    "a bare line feed": LIST.replace(b"\r\n", b"\n") + b"\n",
    "a folded header": LIST + b"X-A: a\r\n b\r\n\r\n",
    "NUL in a header": LIST + b"X-A: a\0b\r\n\r\n",
    "a space before the colon": LIST.replace(b"Authorization:", b"Authorization :") + b"\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "a length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk without a size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
}
HANDED_UP = {
    "a plain request": (LIST + b"\r\n", [200]),
    "an absolute target": (LIST.replace(b"/api", b"http://evil.test/api") + b"\r\n", [200]),
    "HTTP/1.0": (LIST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n", [200]),
    "two hosts": (LIST + b"Host: y\r\n\r\n", [200]),
    "an odd host": (LIST.replace(b"Host: x", b"Host: \xff<>") + b"\r\n", [200]),
    "a fragment": (LIST.replace(b"tasks", b"tasks#x") + b"\r\n", [200]),
    "two slashes": (LIST.replace(b"/api", b"//api") + b"\r\n", [404]),
    "the server itself": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "an upgrade": (LIST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", [200]),
    "a method of HTTP that is not ours": (LIST.replace(b"GET", b"PROPFIND") + b"\r\n", [405]),
    "pipelined": ((LIST + b"\r\n") * 3, [200, 200, 200]),
    "expecting to go on": (POST + b'Expect: 100-continue\r\nContent-Length: 13\r\n\r\n{"title":"x"}', [100, 201]),
    "too large and then another": (
        POST + b"Content-Length: 70000\r\n\r\n" + b" " * 70_000 + LIST + b"\r\n",
        [413, 200],
    ),
    "refused early and then another": (
        b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b" " * 70_000 + LIST + b"\r\n",
        [401, 200],
    ),
}


@pytest.mark.parametrize("what", REFUSED_BELOW)
@pytest.mark.filterwarnings("ignore:Invalid HTTP")
async def test_bytes_that_are_not_http_get_a_bare_400(served: Api, what: str):
    ann = served.user()
    answers = await send(served, REFUSED_BELOW[what].replace(b"TOKEN", ann.token.encode()), 2)
    assert [status for status, _ in answers] == [400]
    assert ann.token.encode() not in answers[0][1]
    assert await ann.list() == []


@pytest.mark.parametrize("what", HANDED_UP)
async def test_whatever_is_http_gets_the_answer_of_the_service(served: Api, what: str):
    request, statuses = HANDED_UP[what]
    answers = await send(served, request.replace(b"TOKEN", served.user().token.encode()), len(statuses))
    assert [status for status, _ in answers] == statuses
    assert all(b"x-request-id" in answer for status, answer in answers if status != 100)


async def test_hostile_requests_get_the_same_statuses_through_a_socket(served: Api):
    ann = served.user()
    task = await ann.task()
    state = await ann.state()
    requests = list(Forge(SEED + 2).all(ann, task["id"]))
    for some in range(0, len(requests), 20):
        batch = requests[some : some + 20]
        answers = await asyncio.gather(*(served.request(one.method, one.target, **one.how) for one in batch))
        for request, answer in zip(batch, answers, strict=True):
            assert answer.status == request.status, f"TODO_TEST_SEED={SEED} {request.what}: {answer}"
    assert await ann.state() == state
