"""The same through a real server and socket: which bytes the server refuses, and what it hands to the application.

Whatever is sent, in one packet or in several, the log stays without an error and the next request is answered: on the
same connection, or on a new one where the response says that it closes.
"""

import asyncio
from collections.abc import Iterator

import pytest
from apis import Api, over_uvicorn
from test_http_hostile import SEED, Forge

from support.upgrades import CHUNKED, CHUNKS, LENGTH, SMUGGLED, TITLE, UPGRADE, UPGRADES


@pytest.fixture(scope="module")
def served() -> Iterator[Api]:
    """The service behind our server."""
    with over_uvicorn() as api:
        yield api
        assert api.errors() == []


@pytest.fixture(scope="module")
def read_by_pages() -> Iterator[Api]:
    """The service behind our server, with an origin that may read it."""
    with over_uvicorn(cors_origins=["https://app.test"]) as api:
        yield api
        assert api.errors() == []


HEALTH = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


async def read_response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return the status and the whole of the next response; EOFError if there is none."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return int(head[9:12]), head + await reader.readexactly(length)


async def send(api: Api, *packets: bytes, responses: int) -> list[tuple[int, bytes]]:
    """Send bytes and return status and whole of so many responses, having seen that one more request is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.bare.port)
    received = []
    try:
        for packet in packets:
            writer.write(packet)
            await writer.drain()
            await asyncio.sleep(0.01 if packet is not packets[-1] else 0)
        for _ in range(responses):
            received.append(await read_response(reader))  # noqa: PERF401  what came before an end is kept
        if b"connection: close" in received[-1][1].lower():
            assert await asyncio.wait_for(reader.read(), 10) == b"", "a response after the last one"
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", api.bare.port)
        writer.write(HEALTH)
        status, response = await read_response(reader)
        assert (status, response[-17:]) == (200, b'{"status":"live"}')
    finally:
        writer.close()
    return received


def cut(request: bytes, at: int) -> Iterator[tuple[str, list[bytes]]]:
    """Yield ways to send a request: whole, and in two packets."""
    yield "one packet", [request]
    if 0 < at < len(request):
        yield "two packets", [request[:at], request[at:]]


HEAD = b"Host: x\r\nAuthorization: Bearer TOKEN\r\n"
LIST = b"GET /api/me/tasks HTTP/1.1\r\n" + HEAD
POST = b"POST /api/me/tasks HTTP/1.1\r\nContent-Type: application/json\r\n" + HEAD

REFUSED_BELOW = {
    "no HTTP": ("method", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "HTTP/2": ("request", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "bytes beyond ASCII in the path": ("request target", LIST.replace(b"me", b"\xc3\xa9") + b"\r\n"),
    "bytes beyond ASCII in the query": ("request target", LIST.replace(b"tasks", b"tasks?q=\xff") + b"\r\n"),
    "a space in the target": ("request line", LIST.replace(b"tasks", b"tasks x") + b"\r\n"),
    "no target": ("request target", LIST.replace(b"/api/me/tasks", b"") + b"\r\n"),
    "a target without a slash": ("request target", LIST.replace(b"/api/me", b"api/me") + b"\r\n"),
    "a bare line feed": ("request line", LIST.replace(b"\r\n", b"\n") + b"\n"),
    "a bare line feed at the end": ("headers", LIST + b"\n"),
    "a space before the first header": ("headers", LIST.replace(b"Host: x", b" Host: x") + b"\r\n"),
    "a folded header": ("headers", LIST + b"X-A: a\r\n b\r\n\r\n"),
    "NUL in a header": ("headers", LIST + b"X-A: a\0b\r\n\r\n"),
    "a carriage return in a header": ("headers", LIST + b"X-A: a\rb\r\n\r\n"),
    "a header without a name": ("headers", LIST + b": a\r\n\r\n"),
    "a space before the colon": ("headers", LIST.replace(b"Authorization:", b"Authorization :") + b"\r\n"),
    "a version to come": ("request", LIST.replace(b"HTTP/1.1", b"HTTP/2.0") + b"\r\n"),
    "a version long gone": ("request", LIST.replace(b"HTTP/1.1", b"HTTP/0.9") + b"\r\n"),
    "no version": ("request", b"GET /health/live\r\n\r\n"),
    "no host": ("Host", LIST.replace(b"Host: x\r\n", b"") + b"\r\n"),
    "two hosts": ("Host", LIST + b"Host: y\r\n\r\n"),
    "twice the same host": ("Host", LIST + b"host: x\r\n\r\n"),
    "two hosts in HTTP/1.0": ("Host", LIST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Host: y\r\n\r\n"),
    "a method too long": ("method", LIST.replace(b"GET", b"A" * 65) + b"\r\n"),
    "a method without an end": ("method", b"A" * 65),
    "a method that is no token": ("method", LIST.replace(b"GET", b"G@T") + b"\r\n"),
    "no method": ("method", LIST.replace(b"GET", b"") + b"\r\n"),
    "a tunnel": ("method", b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two lengths": ("Content-Length", POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
    "the same length twice": ("Content-Length", POST + LENGTH + LENGTH + b"\r\n" + TITLE),
    "a list of lengths": ("Content-Length", POST + b"Content-Length: 13, 13\r\n\r\n" + TITLE),
    "a length and chunks": (
        "Content-Length",
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "chunks and a length": ("Content-Length", POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n"),
    "a chunk without a size": ("body", POST + CHUNKED + b"\r\nzz\r\n"),
    "a chunk longer than it says": ("body", POST + CHUNKED + b"\r\n3\r\n" + TITLE + b"\r\n0\r\n\r\n"),
    "a chunk ended by a bare line feed": ("body", POST + CHUNKED + b"\r\nd\n" + TITLE + b"\n0\n\n"),
    "a chunk size beyond 64 bits": ("body", POST + CHUNKED + b"\r\n" + b"f" * 17 + b"\r\n"),
    "a negative length": ("Content-Length", POST + b"Content-Length: -1\r\n\r\n"),
    "a length with a sign": ("Content-Length", POST + b"Content-Length: +13\r\n\r\n" + TITLE),
    "a length in hexadecimal": ("Content-Length", POST + b"Content-Length: 0xd\r\n\r\n" + TITLE),
    "an empty length": ("Content-Length", POST + b"Content-Length: \r\n\r\n"),
    "a length beyond 64 bits": ("Content-Length", POST + b"Content-Length: 99999999999999999999\r\n\r\n"),
    "another coding before chunks": ("Transfer-Encoding", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS),
    "another coding in a line before": (
        "Transfer-Encoding",
        POST + b"Transfer-Encoding: gzip\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    ),
    "another coding": ("Transfer-Encoding", POST + b"Transfer-Encoding: identity\r\n\r\n" + TITLE),
    "chunks twice": ("Transfer-Encoding", POST + CHUNKED * 2 + b"\r\n" + CHUNKS),
    "chunks twice in a line": ("Transfer-Encoding", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS),
    "chunks after chunks": ("Transfer-Encoding", POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + CHUNKS),
    "chunks in HTTP/1.0": ("Transfer-Encoding", POST.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED + b"\r\n" + CHUNKS),
    "another coding of what needs no body": (
        "Transfer-Encoding",
        b"DELETE /api/me/tasks/1 HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
    ),
}
TOO_LARGE = {
    "a header section": LIST + b"X-A: " + b"a" * 17_000 + b"\r\n\r\n",
    "many headers": LIST + b"a:\r\n" * 5_000 + b"\r\n",
    "a header of spaces": LIST + b"X-A:" + b" " * 17_000 + b"a\r\n\r\n",
    "a target": LIST.replace(b"tasks", b"tasks?q=" + b"a" * 17_000) + b"\r\n",
    "empty lines before a request": b"\r\n" * 9_000 + LIST + b"\r\n",
    "a header section of an upgrade": LIST + UPGRADE + b"X-A: " + b"a" * 17_000 + b"\r\n\r\n",
    "trailers": POST + CHUNKED + b'\r\nd\r\n{"title":"x"}\r\n0\r\n' + b"a:\r\n" * 5_000 + b"\r\n",
    "one trailer": POST + CHUNKED + b'\r\nd\r\n{"title":"x"}\r\n0\r\nX-A: ' + b"a" * 17_000 + b"\r\n\r\n",
    "a chunk extension": POST + CHUNKED + b"\r\nd;" + b"a" * 17_000 + b"\r\n" + CHUNKS[3:],
    "a chunk size of zeros": POST + CHUNKED + b"\r\n" + b"0" * 17_000 + CHUNKS,
}
HANDED_UP = {
    "a plain request": (LIST + b"\r\n", [200]),
    "an absolute target": (LIST.replace(b"/api", b"http://evil.test/api") + b"\r\n", [200]),
    "an absolute target without a path": (b"GET http://evil.test HTTP/1.1\r\nHost: x\r\n\r\n", [307]),
    "an absolute target of nothing but a query": (b"GET http://evil.test?x HTTP/1.1\r\nHost: x\r\n\r\n", [307]),
    "HTTP/1.0": (LIST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n", [200]),
    "HTTP/1.0 without a host": (b"GET /health/live HTTP/1.0\r\n\r\n", [200]),
    "an odd host": (LIST.replace(b"Host: x", b"Host: \xff<>") + b"\r\n", [200]),
    "an empty host": (LIST.replace(b"Host: x", b"Host:") + b"\r\n", [200]),
    "a fragment": (LIST.replace(b"tasks", b"tasks#x") + b"\r\n", [200]),
    "two slashes": (LIST.replace(b"/api", b"//api") + b"\r\n", [404]),
    "the server itself": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "an empty line before": (b"\r\n" + LIST + b"\r\n", [200]),
    "a method of HTTP that is not ours": (LIST.replace(b"GET", b"PROPFIND") + b"\r\n", [405]),
    "a method nobody knows": (LIST.replace(b"GET", b"FOO") + b"\r\n", [405]),
    "a method in lower case": (LIST.replace(b"GET", b"get") + b"\r\n", [405]),
    "a method that begins with another": (LIST.replace(b"GET", b"GETS") + b"\r\n", [405]),
    "a method of other protocols": (LIST.replace(b"GET", b"DESCRIBE") + b"\r\n", [405]),
    "a method that the parser takes for HTTP/2": (LIST.replace(b"GET", b"PRI") + b"\r\n", [405]),
    "a method of signs": (LIST.replace(b"GET", b"!#$%&'*+.^_`|~-") + b"\r\n", [405]),
    "the longest method": (LIST.replace(b"GET", b"A" * 64) + b"\r\n", [405]),
    "methods nobody knows, pipelined": (
        (POST.replace(b"POST", b"FOO") + LENGTH + b"\r\n" + TITLE + LIST + b"\r\n\r\n") * 2,
        [405, 200, 405, 200],
    ),
    "a method nobody knows, with an upgrade": (
        LIST.replace(b"GET", b"FOO") + UPGRADE + b"\r\n" + LIST + b"\r\n",
        [405, 200],
    ),
    "asking to close": (LIST + b"Connection: close\r\n\r\n", [200]),
    "pipelined": ((LIST + b"\r\n") * 3, [200, 200, 200]),
    "pipelined with bodies": (
        (POST + LENGTH + b"\r\n" + TITLE) * 2 + POST + CHUNKED + b"\r\n" + CHUNKS,
        [201, 201, 201],
    ),
    "pipelined and broken": (LIST + b"\r\n" + LIST + b"\r\nBROKEN\r\n\r\n", [200, 200, 400]),
    "chunks": (POST + CHUNKED + b"\r\n" + CHUNKS, [201]),
    "chunks with extensions": (POST + CHUNKED + b'\r\nd;a=b;c="d"\r\n{"title":"x"}\r\n0;e\r\n\r\n', [201]),
    "chunks with trailers": (POST + CHUNKED + b'\r\nd\r\n{"title":"x"}\r\n0\r\nX-A: b\r\n\r\n', [201]),
    "a trailer that asks to close": (
        POST + CHUNKED + b'\r\nd\r\n{"title":"x"}\r\n0\r\nConnection: close\r\n\r\n' + LIST + b"\r\n",
        [201, 200],
    ),
    "chunks of one byte": (
        POST + CHUNKED + b"\r\n" + b"".join(b"1\r\n%c\r\n" % one for one in TITLE) + b"0\r\n\r\n",
        [201],
    ),
    "a target of 16 KiB": (b"GET /" + b"a" * 16_383 + b" HTTP/1.1\r\nHost: x\r\n\r\n", [404]),
    "a token only in a trailer": (
        (POST + CHUNKED).replace(b"Authorization: Bearer TOKEN\r\n", b"")
        + b'\r\nd\r\n{"title":"x"}\r\n0\r\nAuthorization: Bearer TOKEN\r\n\r\n',
        [401],
    ),
    "expecting to go on": (POST + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n" + TITLE, [100, 201]),
    "expecting to go on in HTTP/1.0": (
        POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n" + TITLE,
        [201],
    ),
    "expecting to go on without a token": (
        b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + LENGTH + b"\r\n",
        [401],
    ),
    "too large and then another": (
        POST + b"Content-Length: 70000\r\n\r\n" + b" " * 70_000 + LIST + b"\r\n",
        [413, 200],
    ),
    "refused early and then another": (
        b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b" " * 70_000 + LIST + b"\r\n",
        [401, 200],
    ),
    "refused early in chunks and then another": (
        b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\n" + CHUNKS + LIST + b"\r\n",
        [401, 200],
    ),
    "refused early and closing": (
        b"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 999999\r\n\r\n"
        + b" " * 999_999,
        [401],
    ),
    "a body where none is read": (LIST + LENGTH + b"\r\n" + TITLE + LIST + b"\r\n", [200, 200]),
}


def sentence(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("what", REFUSED_BELOW)
async def test_bytes_that_are_not_http_get_a_400_and_do_nothing(served: Api, what: str):
    ann = served.user()
    field, request = REFUSED_BELOW[what]
    request = request.replace(b"TOKEN", ann.token.encode())
    for way, packets in cut(request, request.find(b"\r\n\r\n") + 4):
        responses = await send(served, *packets, responses=1)
        assert [status for status, _ in responses] == [400], way
        assert ann.token.encode() not in responses[0][1]
        assert b'"code":"invalid"' in sentence(responses[0][1])
        assert b'"field":"%s"' % field.encode() in sentence(responses[0][1])
    assert await ann.list() == []


@pytest.mark.parametrize("what", TOO_LARGE)
async def test_more_than_16_kib_that_is_no_content_gets_a_431_and_does_nothing(served: Api, what: str):
    ann = served.user()
    request = TOO_LARGE[what].replace(b"TOKEN", ann.token.encode())
    for way, packets in cut(request, 10_000):
        responses = await send(served, *packets, responses=1)
        assert [status for status, _ in responses] == [431], way
        assert b'"code":"too_large"' in sentence(responses[0][1])
    assert await ann.list() == []


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"?q=" + b"a" * 17_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b" HTTP/1.1\r\nX-Request-ID: same\r\nX-B: c\r\nA b: c\r\n\r\n", 400),
    ],
    ids=["target", "field"],
)
async def test_a_refusal_of_head_has_no_body_and_says_on_what_it_depends(
    served: Api, method: bytes, rest: bytes, status: int
):
    reader, writer = await asyncio.open_connection("127.0.0.1", served.bare.port)
    writer.write(method + b" /api/me/tasks" + rest)
    response = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert response.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nvary: accept-encoding\r\n" in response.lower()
    assert (b"\r\nx-request-id: same\r\n" in response.lower()) is (status == 400)
    assert bool(sentence(response)) is (method == b"GET")


ODD_TARGETS = [b"http://[", b"http://a:b:c/", b"/caf\xc3\xa9", b"x", b"", b"/x y"]


@pytest.mark.parametrize("target", ODD_TARGETS)
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"FOO"])
async def test_a_target_that_is_none_is_named_and_the_response_suits_the_method(
    served: Api, method: bytes, target: bytes
):
    reader, writer = await asyncio.open_connection("127.0.0.1", served.bare.port)
    writer.write(method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    response = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert response.startswith(b"HTTP/1.1 400 ")
    assert (b'"field":"request ' in sentence(response)) is (method != b"HEAD")
    assert bool(sentence(response)) is (method != b"HEAD")


LONG = b"X-A: " + b"a" * 17_000 + b"\r\n"
ORIGIN = b"Origin: https://app.test\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        LIST + LONG + ORIGIN + b"\r\n",
        LIST + ORIGIN + LONG + b"\r\n",
        LIST.replace(b"tasks", b"tasks?q=" + b"a" * 17_000) + b"X-B: c\r\norigin:https://app.test \r\n\r\n",
        LIST + LONG * 3 + ORIGIN + b"X-B: c\r\n\r\n",
        LIST + LONG + ORIGIN,
    ],
    ids=["origin last", "origin first", "target", "much longer", "without an end"],
)
@pytest.mark.parametrize("size", [1 << 20, 16_400, 4_099])
async def test_a_page_may_read_that_its_headers_are_too_long(read_by_pages: Api, request_: bytes, size: int):
    packets = [request_[at : at + size] for at in range(0, len(request_), size)]
    ((status, response),) = await send(read_by_pages, *packets, responses=1)
    assert status == 431
    assert b"\r\naccess-control-allow-origin: https://app.test\r\n" in response.lower()
    assert b"\r\nvary: origin, accept-encoding\r\n" in response.lower()


@pytest.mark.parametrize("end", [b"Origin: https://evil.test\r\n\r\n", b"\r\nOrigin: https://app.test\r\n\r\n", b""])
async def test_no_other_page_may(read_by_pages: Api, end: bytes):
    ((status, response),) = await send(read_by_pages, LIST + LONG + end, responses=1)
    assert status == 431
    assert b"access-control" not in response.lower()


def from_a_page(request: bytes) -> bytes:
    """Put `Origin` after the first header."""
    line, end, rest = request.partition(b"\r\n")
    first, _, others = rest.partition(b"\r\n")
    return line + end + first + end + ORIGIN + others


@pytest.mark.parametrize("what", [what for what in REFUSED_BELOW if b"\r\nAuthorization" in REFUSED_BELOW[what][1]])
async def test_a_page_may_read_why_its_bytes_are_no_http(read_by_pages: Api, what: str):
    field, request = REFUSED_BELOW[what]
    request = from_a_page(request)
    for before in ([], [HEALTH]):
        *_, (status, response) = await send(read_by_pages, b"".join([*before, request]), responses=len(before) + 1)
        assert status == 400
        assert b'"field":"%s"' % field.encode() in sentence(response)
        assert b"\r\naccess-control-allow-origin: https://app.test\r\n" in response.lower()


@pytest.mark.parametrize("fault", [b"G@T", b"GET /caf\xc3\xa9"])
async def test_a_refusal_has_nothing_of_the_request_before(read_by_pages: Api, fault: bytes):
    before = HEALTH.replace(b"\r\n\r\n", b"\r\nX-Request-ID: before\r\n" + ORIGIN + b"\r\n")
    (_, first), (status, second) = await send(read_by_pages, before + fault + b" / HTTP/1.1\r\n\r\n", responses=2)
    assert b"x-request-id: before\r\n" in first.lower()
    assert status == 400
    assert b"access-control" not in second.lower()
    assert b"before" not in second


@pytest.mark.parametrize("method", [b"FOO", b"get", b"DESCRIBE", b"GETPOST"])
async def test_a_method_of_no_route_is_405_however_it_arrives(read_by_pages: Api, method: bytes):
    request = LIST.replace(b"GET", method) + ORIGIN + b"\r\n"
    for at in range(1, len(method) + 2):
        for first in (b"", HEALTH, b"\r\n"):
            responses = await send(
                read_by_pages, first + request[:at], request[at:] + request, responses=2 + (first == HEALTH)
            )
            for status, response in responses[-2:]:
                assert status == 405
                assert b"\r\nallow: get, head, options, post\r\n" in response.lower()
                assert b"\r\naccess-control-allow-origin: https://app.test\r\n" in response.lower()
                assert b"\r\nconnection: close\r\n" not in response.lower()


@pytest.mark.parametrize("what", HANDED_UP)
async def test_whatever_is_http_gets_the_response_of_the_service(served: Api, what: str):
    request, statuses = HANDED_UP[what]
    request = request.replace(b"TOKEN", served.user().token.encode())
    for way, packets in cut(request, request.find(b"\r\n\r\n") + 4):
        responses = await send(served, *packets, responses=len(statuses))
        assert [status for status, _ in responses] == statuses, way
        assert all(b"x-request-id" in response.lower() for status, response in responses if status != 100)


def announcing(length: int, path: bytes = b"/tasks", media_type: bytes = b"application/json") -> bytes:
    head = POST.replace(b"/tasks", path).replace(b"application/json", media_type)
    return head + b"Content-Length: %d\r\n" % length


TO_BE_REFUSED = {
    "a task": (announcing(65_537), 413),
    "a batch": (announcing(1_048_577, b"/batch"), 413),
    "an import": (announcing(8_388_609, b"/import"), 413),
    "another type": (announcing(9, media_type=b"text/plain"), 415),
    "another type, and too long": (announcing(70_000, media_type=b"text/plain"), 415),
    "a coding": (announcing(9) + b"Content-Encoding: gzip\r\n", 415),
    "too long, with a bad parameter": (announcing(70_000, b"/tasks?x=1"), 400),
    "too long, without a token": (announcing(70_000).replace(b"TOKEN", b""), 401),
}


@pytest.mark.parametrize("what", TO_BE_REFUSED)
async def test_a_body_whose_head_is_refused_is_not_asked_for(served: Api, what: str):
    head, status = TO_BE_REFUSED[what]
    head = head.replace(b"TOKEN", served.user().token.encode()) + b"Expect: 100-continue\r\n\r\n"
    responses = await send(served, head, responses=1)
    assert [status for status, _ in responses] == [status]
    assert b"\r\nconnection: close\r\n" in responses[0][1].lower()


@pytest.mark.parametrize("what", TO_BE_REFUSED)
async def test_a_body_whose_head_is_refused_is_not_waited_for(served: Api, what: str):
    head, status = TO_BE_REFUSED[what]
    reader, writer = await asyncio.open_connection("127.0.0.1", served.bare.port)
    writer.write(head.replace(b"TOKEN", served.user().token.encode()) + b"\r\n")
    assert (await read_response(reader))[0] == status
    writer.write(b" " * int(head.partition(b"Content-Length: ")[2].split()[0]) + HEALTH)
    assert (await read_response(reader))[0] == 200
    writer.close()


@pytest.mark.parametrize("what", UPGRADES)
async def test_a_request_body_survives_an_upgrade_header(served: Api, what: str):
    head, body = UPGRADES[what]
    for way, packets in cut(head + body, len(head)):
        ann = served.user()
        responses = await send(
            served, *[packet.replace(b"TOKEN", ann.token.encode()) for packet in packets], responses=1
        )
        assert [status for status, _ in responses] == [201], way
        assert await ann.titles() == ["x"]


@pytest.mark.parametrize("framing", SMUGGLED)
async def test_a_body_that_looks_like_a_request_is_not_answered_as_one(served: Api, framing: str):
    head, body = SMUGGLED[framing]
    for packets in ([head + body], [head, body]):
        ((status, _),) = await send(served, *packets, responses=1)
        assert status == 405


@pytest.mark.parametrize("header", [b"", UPGRADE], ids=["plain", "upgrade"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_completing_a_task_with_a_body_sets_it_whatever_the_headers_wish(
    served: Api, header: bytes, framing: str
):
    ann = served.user()
    task = await ann.task(completed=True)
    body = b'{"completed":true}'
    head = b"PATCH /api/me/tasks/%d/complete HTTP/1.1\r\nContent-Type: application/json\r\n" % task["id"]
    head += HEAD.replace(b"TOKEN", ann.token.encode()) + header
    if framing == "length":
        head += b"Content-Length: %d\r\n\r\n" % len(body)
    else:
        head, body = head + CHUNKED + b"\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for packets in ([head + body], [head, body]):
        ((status, _),) = await send(served, *packets, responses=1)
        assert status == 200
        assert await ann.read(task) == task


@pytest.mark.parametrize("path", ["/health/live", "/api/me/tasks", "/nope", "/docs"])
async def test_head_keeps_the_connection_and_the_log_as_they_are(served: Api, path: str):
    request = b"%s " + path.encode() + b" HTTP/1.1\r\n" + HEAD.replace(b"TOKEN", served.user().token.encode()) + b"\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.bare.port)
    heads = []
    for method in (b"HEAD", b"GET"):
        writer.write(request % method)
        heads.append((await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).lower())
    length = int(heads[1].split(b"content-length: ")[1].split(b"\r\n")[0])
    assert len(await reader.readexactly(length)) == length
    writer.write(HEALTH)
    assert (await read_response(reader))[0] == 200
    writer.close()
    assert heads[0].split(b"\r\n")[0] == heads[1].split(b"\r\n")[0]
    assert b"content-length: %d\r\n" % length in heads[0]


async def test_hostile_requests_get_the_same_statuses_through_a_socket(served: Api):
    ann = served.user()
    task = await ann.task()
    state = await ann.state()
    requests = list(Forge(SEED + 2).all(ann, task["id"]))
    for some in range(0, len(requests), 20):
        batch = requests[some : some + 20]
        responses = await asyncio.gather(*(served.request(one.method, one.target, **one.how) for one in batch))
        for request, response in zip(batch, responses, strict=True):
            assert response.status == request.status, f"TODO_TEST_SEED={SEED} {request.what}: {response}"
    assert await ann.state() == state
