"""docs/api.md, Lists: what is sent in gzip to clients that accept it, and that a task never is."""

import asyncio
import gzip
import json
import os

import pytest
from apis import Api, Caller, Serve
from client import InProcess, Response, scope_of

from todo_adapters.http.middleware import compression
from todo_adapters.http.middleware.compression import PIECE, SMALLEST, Compressed, _prefers_gzip
from todo_adapters.http.protocol import response as protocol

LONG = "milk and bread " * 300
GZIP = [("accept-encoding", "gzip, deflate, br, zstd")]
PLAIN = [("accept-encoding", "identity")]
PATHS = ["/tasks", "/tasks?limit=1", "/tasks?q=milk", "/changes", "/changes?limit=1", "/trash", "/trash?limit=1"]


def unpacked(response: Response) -> bytes:
    assert response.header("content-encoding") == "gzip", response
    return gzip.decompress(response.body)


def kept_headers(response: Response) -> list[tuple[str, str]]:
    """The headers but for those that belong to the message and not to what it says."""
    of_the_message = {"date", "x-request-id", "content-length", "content-encoding", "transfer-encoding"}
    return sorted(header for header in response.headers if header[0] not in of_the_message)


@pytest.fixture
async def writer(ann: Caller) -> Caller:
    """A user with enough tasks, and enough in the trash."""
    for number in range(4):
        task = await ann.task(title=f"milk {number}", description=LONG)
        if number % 2:
            await ann("DELETE", f"/tasks/{task['id']}")
    return ann


@pytest.mark.parametrize("below", PATHS)
async def test_a_list_is_compressed_for_clients_that_accept_it_and_says_the_same(writer: Caller, below: str):
    packed = await writer("GET", below, headers=GZIP)
    plain = await writer("GET", below, headers=PLAIN)
    assert (packed.status, plain.status, plain.header("content-encoding")) == (200, 200, None)
    assert unpacked(packed) == plain.body
    assert len(packed.body) < len(plain.body) / 3
    assert kept_headers(packed) == kept_headers(plain)
    assert packed.header("vary") == plain.header("vary") == "Accept-Encoding"


async def test_the_document_is_compressed(api: Api):
    packed = await api.request("GET", "/openapi.json", headers=GZIP)
    plain = await api.request("GET", "/openapi.json")
    assert unpacked(packed) == plain.body
    assert packed.header("vary") == plain.header("vary") == "Accept-Encoding"


async def test_a_single_task_never_is_because_its_tag_is_strong(ann: Caller):
    made = await ann("POST", "/tasks", json={"title": "x", "description": LONG}, headers=GZIP)
    task = f"/tasks/{made.json()['id']}"
    for method, below, how in [
        ("GET", task, {}),
        ("PUT", task, {"json": {"title": "y"}}),
        ("PATCH", task, {"json": {"title": "z"}}),
        ("PATCH", f"{task}/complete", {}),
    ]:
        response = await ann(method, below, headers=GZIP, **how)
        assert (response.status, response.header("content-encoding"), response.header("vary")) == (200, None, None)
        assert response.header("etag") == f'"{response.json()["revision"]}"'
        assert len(response.body) > SMALLEST
    assert made.header("content-encoding") is None


async def test_a_short_list_is_sent_as_it_is(ann: Caller):
    await ann.task()
    for below in ("/tasks", "/changes"):
        response = await ann("GET", below, headers=GZIP)
        assert (response.header("content-encoding"), response.header("vary")) == (None, "Accept-Encoding")
        assert len(response.body) < SMALLEST


async def test_the_tag_of_a_list_is_good_whatever_the_encoding(writer: Caller):
    etag = (await writer("GET", "/tasks", headers=GZIP)).header("etag")
    for accepted in (GZIP, PLAIN, []):
        response = await writer("GET", "/tasks", headers=[*accepted, ("if-none-match", etag)])
        assert (response.status, response.header("etag"), response.header("vary")) == (304, etag, "Accept-Encoding")
        assert response.header("content-encoding") is None


@pytest.mark.parametrize("below", PATHS)
@pytest.mark.parametrize("accepted", [GZIP, PLAIN], ids=["gzip", "identity"])
async def test_head_is_get_without_the_body_in_each_encoding(writer: Caller, below: str, accepted):
    got, head = [await writer(method, below, headers=accepted) for method in ("GET", "HEAD")]
    assert (head.status, head.body) == (200, b"")
    assert kept_headers(head) == kept_headers(got)
    for name in ("content-encoding", "content-length"):
        assert head.header(name) == got.header(name)


async def test_these_paths_always_say_that_they_vary(serve: Serve):
    page = ("origin", "https://app.example")
    asked = [
        ("GET", {}, 401),
        ("OPTIONS", {}, 204),
        ("GET", {"token": "OWN", "headers": [("if-none-match", "nonsense")]}, 400),
        ("GET", {"token": "OWN", "headers": [("x-huge", "a" * 17_000)]}, 431),
        ("TRACE", {}, 405),
    ]
    with serve(cors_origins=[page[1]]) as api:
        ann = api.user()
        for path in (f"{ann.path}/tasks", f"{ann.path}/changes"):
            for method, how, status in asked:
                headers = [*how.get("headers", []), page]
                token = ann.token if how.get("token") else None
                response = await api.request(method, path, headers=headers, token=token)
                assert (response.status, response.header("vary")) == (status, "Origin, Accept-Encoding")
        response = await api.request("GET", "/health/live", headers=[page])
        assert response.header("vary") == "Origin"


async def test_refusals_are_not_compressed(ann: Caller):
    response = await ann("GET", "/tasks?nonsense=1", headers=GZIP)
    assert (response.status, response.header("content-encoding")) == (400, None)


ACCEPTED = {
    "gzip": True,
    "GZip": True,
    "x-gzip": True,
    "gzip;q=1": True,
    "gzip;q=0.001": True,
    "gzip ; Q=0.5": True,
    "br, gzip": True,
    "br;q=1.0,gzip;q=0.8, *;q=0.1": True,
    "deflate,\tgzip": True,
    ",, gzip ,": True,
    "*": True,
    "*;q=0.5": True,
    "br, *": True,
    "gzip;q=0.5, identity;q=0.5": True,
    "identity;q=0, gzip": True,
    "": False,
    " ": False,
    "br": False,
    "identity": False,
    "deflate, br, zstd": False,
    "gzip;q=0": False,
    "gzip;q=0.000": False,
    "gzip;q=0, *": False,
    "*;q=0": False,
    "gzip, identity;q=0, gzip;q=0": False,
    "gzip;q=0.5, identity": False,
    "gzip;q=0.4, identity;q=0.5": False,
    "*;q=0.5, identity;q=0.6": False,
    "gzip;q=2": False,
    "gzip;q=-1": False,
    "gzip;q=0.1234": False,
    "gzip;q=a": False,
    "gzip;x=1": False,
    "gzip;q=": False,
    "gzippo": False,
    "g zip": False,
    "\xff": False,
}


@pytest.mark.parametrize("value", ACCEPTED, ids=repr)
def test_what_is_accepted_is_read_with_its_weights(value: str):
    assert _prefers_gzip(value.encode("latin-1")) is ACCEPTED[value]


async def test_the_header_may_come_several_times_or_not_at_all(writer: Caller):
    for values, encoding in ((["br", "gzip"], "gzip"), (["gzip", "gzip;q=0"], None), ([], None)):
        headers = [("accept-encoding", value) for value in values]
        assert (await writer("GET", "/tasks", headers=headers)).header("content-encoding") == encoding


# Long responses, and responses in pieces.


def in_pieces(*pieces: bytes, length: int | None = None):
    """An ASGI application that sends its body in these pieces."""

    async def app(_, __, send):
        headers = [(b"etag", b'W/"1"')] + ([] if length is None else [(b"content-length", b"%d" % length)])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for place, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": place < len(pieces)})

    return app


@pytest.mark.parametrize(
    ("pieces", "packed"),
    [
        ([b"x" * (SMALLEST - 1)], False),
        ([b"x" * SMALLEST], True),
        ([b"x" * PIECE], True),
        ([b"x" * (PIECE + 1)], True),
        ([b"x" * (5 * PIECE)], True),
        ([b"[", b"x" * 400, b"]"], False),
        ([b"[", b"x" * 600, b"y" * 600, b"]"], True),
        ([b"x" * 600, b"y" * 600, b""], True),
        ([b"x" * (2 * PIECE), b"", b"y" * (2 * PIECE)], True),
        ([b""], False),
        ([b"", b""], False),
    ],
    ids=lambda value: str([len(piece) for piece in value]) if isinstance(value, list) else None,
)
async def test_a_body_in_pieces_is_the_same_body(pieces: list[bytes], packed: bool):
    whole = b"".join(pieces)
    response = await InProcess(Compressed(in_pieces(*pieces, length=len(whole)))).request("GET", "/", headers=GZIP)
    assert (unpacked(response) if packed else response.body) == whole
    assert response.header("etag") == 'W/"1"'
    if len(pieces) == 1 and len(whole) <= PIECE:
        assert response.header("content-length") == str(len(response.body))
    elif packed:
        assert response.header("content-length") is None
    plain = await InProcess(Compressed(in_pieces(*pieces, length=len(whole)))).request("GET", "/")
    assert (plain.body, plain.header("content-length")) == (whole, str(len(whole)))


async def test_others_have_their_turn_while_a_long_body_is_compressed():
    turns, done = 0, asyncio.Event()

    async def somebody_else():
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(somebody_else())
    body = json.dumps([{"id": number, "title": f"task {number * 7919 % 1009}"} for number in range(40_000)]).encode()
    await InProcess(Compressed(protocol.Response(200, body))).request("GET", "/", headers=GZIP)
    done.set()
    await other
    assert turns >= len(body) // PIECE > 10


async def test_a_client_of_http_1_0_gets_a_length_and_no_gzip(ann: Caller, api: Api):
    """HTTP/1.0 has no chunked coding, and the length of what is compressed in pieces is not known."""
    assert isinstance(api.bare, InProcess)
    for number in range(40):
        await ann.task(title=f"{number}", description="milk " * 1_000)
    for path in ("/tasks", "/export?format=ics"):
        sent = []

        async def receive():
            await asyncio.Event().wait()

        async def send(message, sent=sent):
            sent.append(message)

        headers = [(b"authorization", f"Bearer {ann.token}".encode()), (b"accept-encoding", b"gzip")]
        await api.bare.app(
            {**scope_of("GET", f"/api/me{path}".encode(), headers), "http_version": "1.0"}, receive, send
        )
        answered = dict(sent[0]["headers"])
        assert b"content-encoding" not in answered
        assert int(answered[b"content-length"]) == sum(len(message["body"]) for message in sent[1:]) > 40 * 5_000


@pytest.mark.parametrize(("silence", "sent_meanwhile"), [(0.0, 20), (60.0, 1)])
async def test_pieces_that_are_made_slowly_are_not_held_by_the_compression(monkeypatch, silence, sent_meanwhile):
    """A proxy cuts a response after a time without a byte; zlib alone holds 20 KB of this text and more."""
    monkeypatch.setattr(compression, "SILENCE", silence)
    sent = []

    async def send(message):
        sent.append(message.get("body", b""))

    async def app(_, __, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(20):
            await send({"type": "http.response.body", "body": b"SUMMARY:x\r\n" * 100, "more_body": True})
        assert len(list(filter(None, sent))) == sent_meanwhile
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    await Compressed(app)(scope_of("GET", b"/", [(b"accept-encoding", b"gzip")]), None, send)
    assert gzip.decompress(b"".join(sent)) == b"SUMMARY:x\r\n" * 2_000


async def test_a_piece_is_sent_before_the_next_one_is_made():
    """So the memory and the pace are those of the client, however long the response is."""
    sent = []

    async def send(message):
        sent.append(len(message.get("body", b"")))

    async def app(_, __, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(20):
            before = len(sent)
            await send({"type": "http.response.body", "body": os.urandom(PIECE), "more_body": number < 19})
            assert len(sent) > before

    await Compressed(app)(scope_of("GET", b"/", [(b"accept-encoding", b"gzip")]), None, send)
