"""Requests beyond what the store can take wait for a turn, and are refused when none comes."""

import asyncio
import json
import time

import pytest

from todo_adapters.http.middleware import admission as admissions
from todo_adapters.http.middleware.admission import Admission
from todo_adapters.http.middleware.cors import Cors
from todo_adapters.http.middleware.edge import Edge
from todo_adapters.http.middleware.refusals import Refusals
from todo_adapters.http.protocol.context import CONTEXT, RequestContext
from todo_adapters.http.protocol.pace import Traffic
from todo_adapters.observability.metrics import Metrics
from todo_domain import Deadline, Unavailable


class Load:
    """An application behind an admission: each request to it makes one call of the store, which ends when told to."""

    def __init__(self, most):
        self.admission = Admission(most=most)
        self.begun = []
        self.ends = {}
        self.enter = self.admission.before(self._answer)
        self._call = self.admission.counting(self._store)

    async def _store(self, name):
        self.begun.append(name)
        await self.ends.setdefault(name, asyncio.Event()).wait()

    async def _answer(self, scope, receive, _):
        if scope["method"] == "POST":
            await receive()
        if b"bad-token" not in scope["raw_path"]:
            await self._call(scope["raw_path"])

    def ask(self, path, method="GET", receive=None, within=None):
        scope = {"type": "http", "raw_path": path, "method": method, "headers": [], "query_string": b""}
        context = RequestContext("r1", method, peer=None, authorization=[], headers=[])
        if within is not None:
            context.deadline = Deadline.within(within)
        scope[CONTEXT] = context

        async def asked():
            await self.enter(scope, receive, None)

        return asyncio.create_task(asked())

    async def end(self, name):
        self.ends[name].set()
        await asyncio.sleep(0.01)


@pytest.fixture
def short_waits(monkeypatch):
    monkeypatch.setattr(admissions, "SHORTEST_QUEUE_TIME", 0.05)
    monkeypatch.setattr(admissions, "LONGEST_QUEUE_TIME", 0.2)


async def test_as_many_as_there_is_room_for_come_in_at_once_and_the_others_in_their_order():
    load = Load(most=2)
    asked = [load.ask(b"/api/%d" % number) for number in range(5)]
    await asyncio.sleep(0.01)
    assert load.begun == [b"/api/0", b"/api/1"]
    await load.end(b"/api/1")
    assert load.begun == [b"/api/0", b"/api/1", b"/api/2"]
    for name in (b"/api/0", b"/api/2", b"/api/3", b"/api/4"):
        await load.end(name)
    await asyncio.gather(*asked)
    assert load.begun == [b"/api/%d" % number for number in range(5)]


async def test_nobody_waits_for_a_turn_beyond_their_deadline():
    load = Load(most=1)
    first, second = load.ask(b"/api/1"), load.ask(b"/api/2", within=0.1)
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        await second
    assert time.monotonic() - begun < admissions.SHORTEST_QUEUE_TIME
    await load.end(b"/api/1")
    await first


@pytest.mark.usefixtures("short_waits")
async def test_who_has_waited_in_vain_is_refused_and_the_next_one_after_the_rush_is_not():
    load = Load(most=1)
    first, second = load.ask(b"/api/1"), load.ask(b"/api/2")
    with pytest.raises(Unavailable, match="too many requests") as refused:
        await second
    assert refused.value.retry_after == 1
    await load.end(b"/api/1")
    await first
    third = load.ask(b"/api/3")
    await asyncio.sleep(0.01)
    assert load.begun == [b"/api/1", b"/api/3"]
    await load.end(b"/api/3")
    await third


@pytest.mark.usefixtures("short_waits")
async def test_the_refusal_has_the_shape_of_every_error_and_is_counted():
    load, metrics, sent = Load(most=0), Metrics(), []
    edge = Edge(load.enter, Refusals(None), Cors(["https://app.example.com"]), metrics, Traffic(), {})

    async def send(message):
        sent.append(message)

    headers = [(b"x-request-id", b"mine"), (b"origin", b"https://app.example.com")]
    scope = {"type": "http", "method": "GET", "raw_path": b"/api/me/tasks", "query_string": b"", "headers": headers}
    await edge(scope, None, send)
    start, body = sent
    headers_sent = dict(start["headers"])
    assert (start["status"], headers_sent[b"retry-after"], headers_sent[b"x-request-id"]) == (503, b"1", b"mine")
    assert headers_sent[b"access-control-allow-origin"] == b"https://app.example.com"
    said = json.loads(body["body"])
    assert said == {"error": "too many requests at once: try again", "code": "unavailable", "request_id": "mine"}
    number = 'todo_http_request_duration_seconds_count{method="GET",route="none",status="503"} 1.0'
    assert number in metrics.text().decode()


@pytest.mark.usefixtures("short_waits")
async def test_the_more_are_waiting_the_longer_each_may_so_that_refusals_stay_few(monkeypatch):
    monkeypatch.setattr(admissions, "MOST_REFUSALS", 500)
    load = Load(most=0)
    clock = asyncio.get_running_loop().time
    begun = clock()
    asked = [load.ask(b"/api/%d" % number) for number in range(200)]
    await asyncio.sleep(0)
    passed = clock() - begun
    ends = [end - begun for end, _ in load.admission._waiting]
    for number, patience in ((0, 0.05), (50, 0.1), (90, 0.18), (199, 0.2)):  # number / 500 s, between the two bounds
        assert patience <= ends[number] <= patience + passed
    refused = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(each) for each in refused} == {Unavailable}
    assert clock() - begun >= 0.2


@pytest.mark.parametrize("asked", [(b"/health/live", "GET"), (b"/metrics", "GET"), (b"/api/me/tasks", "OPTIONS")])
async def test_health_numbers_and_preflights_do_not_wait(asked):
    load = Load(most=0)
    load.ends[asked[0]] = asyncio.Event()
    load.ends[asked[0]].set()
    await asyncio.wait_for(load.ask(*asked), 0.2)


async def test_a_body_that_does_not_come_takes_no_place():
    load = Load(most=1)
    slow = [load.ask(b"/api/slow", "POST", receive=asyncio.Event().wait) for _ in range(10)]
    await asyncio.sleep(0.01)
    quick = load.ask(b"/api/quick")
    await asyncio.sleep(0.01)
    assert load.begun == [b"/api/quick"]
    await load.end(b"/api/quick")
    await quick
    for one in slow:
        one.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


async def test_a_request_that_comes_in_and_never_calls_the_store_passes_its_turn_on():
    load = Load(most=1)
    first = load.ask(b"/api/1")
    await asyncio.sleep(0)
    strangers = [load.ask(b"/api/bad-token") for _ in range(10)]
    last = load.ask(b"/api/2")
    await asyncio.sleep(0.01)
    await load.end(b"/api/1")
    assert all(stranger.done() for stranger in strangers)
    assert load.begun == [b"/api/1", b"/api/2"]
    await load.end(b"/api/2")
    await asyncio.gather(first, last)


async def test_a_client_that_goes_away_while_it_waits_takes_nobodys_turn():
    load = Load(most=1)
    first = load.ask(b"/api/1")
    await asyncio.sleep(0)
    gone, last = load.ask(b"/api/2"), load.ask(b"/api/3")
    await asyncio.sleep(0.01)
    gone.cancel()
    await load.end(b"/api/1")
    assert load.begun == [b"/api/1", b"/api/3"]
    await load.end(b"/api/3")
    await asyncio.gather(first, last)


async def test_a_call_that_fails_makes_room_as_one_that_succeeds():
    admission, entered = Admission(most=1), []

    async def fail():
        raise Unavailable("the database cannot be reached")

    async def enter(*_):
        entered.append(1)

    with pytest.raises(Unavailable):
        await admission.counting(fail)()
    await asyncio.wait_for(admission.before(enter)({"type": "http"}, None, None), 0.1)
    assert entered
