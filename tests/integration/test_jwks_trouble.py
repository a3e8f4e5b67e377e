"""A provider that is slow, broken or hostile: a failed fetch, and no more than that."""

import asyncio
import gzip
import logging
import time
from dataclasses import replace

import pytest

from servers.jwks import JwksServer
from support.issuers import Issuer, dumps
from support.verifying import APART, FETCHER, PATIENT
from support.verifying import FetchScene as Scene
from todo_adapters.auth.fetching import LARGEST_DOCUMENT
from todo_adapters.auth.jwks import FETCHED, JwksKeys
from todo_adapters.auth.loading import KeyUrl
from todo_domain.errors import Unavailable

LONG = 30.0


def test_a_first_fetch_may_take_ten_seconds_later_ones_two():
    assert (FETCHED.first, FETCHED.later) == (10.0, 2.0)


@pytest.mark.parametrize("slowness", [{"delay": LONG}, {"drip": 0.02}])
async def test_a_fetch_ends_at_its_deadline_and_holds_up_nobody_else(server, slowness):
    scene = Scene(server, times=replace(PATIENT, first=1.0))  # a busy machine needs some of it to send the request
    vars(server).update(slowness)
    waiting = asyncio.create_task(scene.verdict(scene.token()))
    began = time.perf_counter()
    arrived = asyncio.create_task(server.arrived.wait())
    await asyncio.wait([arrived, waiting], return_when=asyncio.FIRST_COMPLETED)
    assert not waiting.done(), "the loop goes on while the fetch is under way"
    assert await waiting == "away"
    assert 0.9 <= time.perf_counter() - began < LONG / 2
    assert scene.keys.failure == "too slow"


async def test_a_caller_waits_until_its_deadline_and_the_fetch_goes_on(server):
    scene = Scene(server)
    server.delay = 0.5
    assert await scene.verdict(scene.token(), seconds=0.05) == "away"
    assert scene.keys.failure == "unfinished"
    await scene.settle()
    assert await scene.verdict(scene.token()) == "taken"
    assert (server.hits, scene.keys.failure) == (1, None)


async def test_a_later_fetch_has_its_own_deadline(server):
    scene = Scene(server, times=replace(PATIENT, later=0.1))
    assert await scene.verdict(scene.token()) == "taken"
    server.delay = LONG
    scene.now.now += APART
    assert await scene.verdict(scene.token(issuer=Issuer())) == "away"
    assert scene.keys.failure == "too slow"
    assert await scene.verdict(scene.token()) == "taken"


async def test_two_fetches_are_never_under_way_at_once(scene):
    scene.server.delay = LONG
    callers = []
    for _ in range(3):
        callers.append(asyncio.create_task(scene.verdict(scene.token())))
        await scene.server.arrived.wait()
        scene.now.now += APART
        await asyncio.sleep(0)
    under_way = [task for task in asyncio.all_tasks() if "JwksKeys._load" in repr(task.get_coro())]
    assert len(under_way) == 1
    await scene.keys.aclose()
    assert await asyncio.gather(*callers) == ["away"] * 3
    assert scene.server.hits == 1


async def test_a_document_beyond_256_kib_is_not_read_to_its_end(scene):
    scene.server.document, scene.server.endless = b" " * 10_000, True
    assert await scene.verdict(scene.token()) == "away"
    assert scene.keys.failure == f"more than {LARGEST_DOCUMENT} bytes"
    await asyncio.sleep(0)
    assert scene.server.sent < 10_000_000


@pytest.mark.parametrize(("size", "verdict"), [(LARGEST_DOCUMENT, "taken"), (LARGEST_DOCUMENT + 1, "away")])
async def test_a_document_may_have_256_kib(scene, size, verdict):
    scene.server.document = dumps(scene.issuer.jwks()).ljust(size)
    assert await scene.verdict(scene.token()) == verdict


async def test_a_compressed_document_is_not_unpacked(scene):
    scene.server.document = gzip.compress(dumps(scene.issuer.jwks()))
    scene.server.headers = {"Content-Encoding": "gzip"}
    assert await scene.verdict(scene.token()) == "away"
    assert scene.keys.failure == "compressed"


async def test_redirects_are_not_followed(scene):
    async with JwksServer(scene.issuer.jwks()) as elsewhere:
        for status in (301, 302, 303, 307, 308):
            scene.server.status, scene.server.headers = status, {"Location": elsewhere.url}
            assert await scene.verdict(scene.token()) == "away"
            assert scene.keys.failure == f"status {status}"
            scene.now.now += APART
        assert elsewhere.hits == 0


@pytest.mark.parametrize("status", [201, 204, 304, 401, 404, 429, 500, 503])
async def test_any_status_but_200_is_a_failure(scene, status):
    scene.server.status = status
    assert await scene.verdict(scene.token()) == "away"
    assert scene.keys.failure == f"status {status}"


BROKEN = {
    "HTML": (b"<html>", "not UTF-8 JSON"),
    "nothing": (b"", "not UTF-8 JSON"),
    "no UTF-8": (b'{"keys":"\xff"}', "not UTF-8 JSON"),
    "no object": (b"[]", "not a key set"),
    "nesting": (b"[" * 200_000, "too many arrays and objects"),
    "a name twice": (b'{"keys":[],"keys":[]}', "a name occurs twice"),
    "no fit key": (b'{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}', "no fit key in it"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_document_is_a_failed_fetch_and_known_keys_stay(scene, name, caplog):
    assert await scene.verdict(scene.token()) == "taken"
    scene.server.document, reason = BROKEN[name]
    scene.now.now += APART
    with caplog.at_level(logging.INFO, "todo.auth"):
        assert await scene.verdict(scene.token(issuer=Issuer())) == "away"
    assert await scene.verdict(scene.token()) == "taken"
    assert [record.getMessage() for record in caplog.records if record.name == "todo.auth"] == [
        f"the key set was not fetched: {reason}"
    ]
    assert scene.keys.failure == reason


async def test_a_response_that_is_no_http_is_a_failed_fetch():
    async def babble(_reader, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        keys = JwksKeys(KeyUrl(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", FETCHER), times=PATIENT)
        with pytest.raises(Unavailable):
            await keys.check()
    assert keys.failure == "RemoteProtocolError"
