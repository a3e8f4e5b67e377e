"""One client's connection: bounded in number and in time, over a server in this process."""

import asyncio
import contextlib
import gc
import json
import socket
from contextlib import asynccontextmanager
from http.client import HTTPConnection

import pytest

from servers.todo import TODO, Served, token_for
from todo_app.server import connections
from todo_app.server.connections import ServerConfig
from todo_app.server.server import Server

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
SECRET = "0123456789abcdef0123456789abcdef"
LIMITED = f"""#!/bin/sh
ulimit -n 150
exec {TODO} "$@"
"""


@pytest.fixture(autouse=True)
def _garbage_collector_as_it_was():
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture
def brief(monkeypatch):
    """A request has 0.2 to 0.4 s to arrive."""
    monkeypatch.setattr(connections, "ARRIVAL", 0.2)


async def response(scope, receive, send):
    """Read the body, take as long as the path says, send as many bytes as the query says.

    `/early` is answered without its body, `/begun` is by half, and the other half once its body has come or broken.
    """
    if scope["path"] in {"/early", "/begun"}:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": scope["path"][1:3].encode(), "more_body": True})
        if scope["path"] == "/begun":
            await asyncio.sleep(0.2)
        await send({"type": "http.response.body", "body": scope["path"][3:].encode()})
        return
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(float(scope["path"][1:] or 0))
    body = b"x" * int(scope["query_string"] or 2)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(most=100, keep_alive=60):
    """The port of our server over that application."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = ServerConfig(
        response,
        drain_seconds=0,
        most_connections=most,
        timeout_keep_alive=keep_alive,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    running = asyncio.create_task(server._serve([listener]))
    while not server.started:  # noqa: ASYNC110  uvicorn has a flag, no event
        await asyncio.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        config.linger = 0
        server.should_exit = True
        await running


async def let_go(reader, *, seconds):
    """Whether the server ends the connection within that time."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read() == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


async def rest(connection):
    """How many bytes are left to read until the other side ends the connection, this way or that."""
    read = 0
    with contextlib.suppress(ConnectionResetError):
        while piece := await asyncio.get_running_loop().sock_recv(connection, 1_000_000):
            read += len(piece)
    return read


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HT", HEAD, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"],
    ids=["nothing", "half a line", "half of a second request", "no body"],
)
async def test_a_request_that_never_ends_is_not_waited_for(begun):
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if begun == HEAD:  # as the second request of a connection
            writer.write(HEAD + b"\r\n")
            await reader.readuntil(b"xx")
        writer.write(begun)
        assert await let_go(reader, seconds=1)
        writer.close()


@pytest.mark.usefixtures("brief")
async def test_dripping_bytes_buys_no_time():
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def drip():
            writer.write(HEAD + b"X: ")
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await let_go(reader, seconds=1)
        writer.close()
        await asyncio.gather(dripping, return_exceptions=True)


@pytest.mark.usefixtures("brief")
async def test_an_idle_connection_and_a_request_that_takes_long_are_left_alone():
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in (b"/", b"/0.9", b"/"):
            writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(reader.readuntil(b"xx"), 5)
            await asyncio.sleep(0.9)
        writer.close()


@pytest.mark.usefixtures("brief")
async def test_an_idle_connection_is_closed_when_its_time_is_over_and_one_in_use_is_kept():
    async with serving(keep_alive=0.5) as port:
        idle, opened = await asyncio.open_connection("127.0.0.1", port)
        opened.write(HEAD + b"\r\n")
        await asyncio.wait_for(idle.readuntil(b"xx"), 5)
        ended = asyncio.create_task(let_go(idle, seconds=5))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not ended.done():
            writer.write(HEAD + b"\r\n")
            await asyncio.wait_for(reader.readuntil(b"xx"), 5)
            await asyncio.sleep(0.05)
        assert await ended
        assert not reader.at_eof()
        for one in (opened, writer):
            one.close()


async def test_a_response_that_is_not_read_is_not_kept_for_ever_and_a_slow_reader_gets_all_of_it(monkeypatch):
    monkeypatch.setattr(connections, "ARRIVAL", 0.8)  # in which the slow reader reads something, on a busy machine too
    async with serving() as port:
        size = 20_000_000
        with socket.create_connection(("127.0.0.1", port)) as deaf:
            deaf.sendall(b"GET /?%d HTTP/1.1\r\nHost: x\r\n\r\n" % size)
            await asyncio.sleep(2)
            deaf.settimeout(0)
            assert await asyncio.wait_for(rest(deaf), 10) < size
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /?%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % size)
        read = 0
        while piece := await reader.read(1_000_000):
            read += len(piece)
            await asyncio.sleep(0.03)
        assert read > size
        writer.close()


@pytest.mark.usefixtures("brief")
async def test_a_connection_whose_body_came_after_its_response_stays_like_any_other():
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"early"), 5)
        writer.write(b"x" * 9)
        await asyncio.sleep(0.9)
        writer.write(HEAD + b"\r\n")
        await asyncio.wait_for(reader.readuntil(b"xx"), 5)
        writer.close()


async def test_a_broken_body_does_not_cut_a_response_that_has_begun():
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /begun HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"be"), 5)
        writer.write(b"nonsense\r\n" + HEAD + b"\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b"gun"
        writer.close()


async def test_a_client_that_was_refused_before_it_sent_its_body_is_told_that_the_connection_ends():
    """It may leave the body out, and then nobody could tell what comes next from it (RFC 9110, section 10.1.1)."""
    async with serving() as port:
        for path, ends in ((b"/early", True), (b"/", False)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n" % path)
            if not ends:
                assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
                writer.write(b"x")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert (b"\r\nconnection: close\r\n" in head) == ends
            writer.close()


async def test_a_response_reaches_a_client_that_is_still_sending_what_nobody_reads():
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9000000\r\n\r\n")
        for _ in range(9):
            writer.write(b"x" * 1_000_000)
            await asyncio.sleep(0.01)
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"early")
        writer.close()


async def test_connections_beyond_the_bound_are_told_so_and_the_others_go_on():
    async with serving(most=3) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head, _, body = (await asyncio.wait_for(reader.read(), 2)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in head
        said = json.loads(body)
        assert said["code"] == "unavailable"
        assert f"X-Request-ID: {said['request_id']}\r\n".encode() in head
        writer.close()
        held[0][1].write(HEAD + b"\r\n")
        await asyncio.wait_for(held[0][0].readuntil(b"xx"), 2)
        held[1][1].close()
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"\r\n")
        await asyncio.wait_for(reader.readuntil(b"xx"), 2)
        for one in (writer, held[0][1], held[2][1]):
            one.close()


def test_a_process_that_may_open_few_files_refuses_connections_rather_than_fail(tmp_path):
    """With 150 files it holds 50 connections, and its database goes on working."""
    command = tmp_path / "limited"
    command.write_text(LIMITED)
    command.chmod(0o700)
    with Served(tmp_path, command=command, TODO_JWT_SECRET=SECRET) as served, contextlib.ExitStack() as closing:
        token = token_for("ann", SECRET)

        def connect():
            connection = HTTPConnection("127.0.0.1", served.port, timeout=5)
            closing.callback(connection.close)
            connection.connect()
            return connection

        held = [connect() for _ in range(49)]
        refused = 0
        for one in [connect() for _ in range(200)]:
            try:
                one.request("GET", "/health/live")
                refused += one.getresponse().status == 503
            except ConnectionError:  # it was closed before it was asked
                refused += 1
        assert refused > 190
        for one in held[:10]:
            one.request("POST", "/api/me/tasks", '{"title": "x"}', _headers(token))
            assert one.getresponse().status == 201
        for one in held:
            one.close()
        served.process.wait_until(lambda: served.request("GET", "/health/ready", "").status == 200)
        assert "a worker holds 50 connections instead of 8,000" in served.process.stdout
        assert "Traceback" not in served.process.stderr


def _headers(token):
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
