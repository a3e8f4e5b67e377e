"""Who listens for which user, what wakes them, and how a stream speaks."""

import asyncio
import json
import time
from contextlib import ExitStack, aclosing

import pytest

from todo_adapters import live
from todo_adapters.http.protocol import event_stream as events
from todo_adapters.http.protocol.event_stream import EventStream, StreamPosition, stream_position
from todo_adapters.http.protocol.response_memory import ResponseBudget, ResponseMemory
from todo_adapters.live import Listeners, Poll, TooManyListenersError, digest_of
from todo_adapters.memory import MemoryTasks
from todo_domain import Put, PutTask, TaskService, user_id

ANN, BOB = user_id("ann"), user_id("bob")


class ReadStream:
    """A stream of Ann's, read event by event."""

    def __init__(self, service, listener, *, since=None, expires_in=900.0):
        self.latencies = []
        self.budget = ResponseBudget(ResponseMemory(), ANN)
        self._service = service

        async def count():
            return (await service.changes(ANN)).revision

        self._count = count
        self._listener = listener
        self._start = StreamPosition(since)
        self._expires_at = time.time() + expires_in

    async def open(self):
        stream = EventStream(
            self._listener,
            start=self._start,
            counter=await self._count(),
            read=lambda since: self._service.changes(ANN, since=since, limit=events.PAGE),
            count=self._count,
            expires_at=self._expires_at,
            sent=self.latencies.append,
            budget=self.budget,
        )
        self.events = stream.events()
        return self

    async def next(self):
        async with asyncio.timeout(5):
            return parsed(await anext(self.events))


async def until(true):
    """Let the others run until something is true."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110  the poll under test has no event to wait for
            await asyncio.sleep(0)


def parsed(part):
    """The events of a piece of a stream: (name, id, data)."""
    found = []
    for block in part.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
    return found


@pytest.fixture
def listeners():
    return Listeners(most=5, most_per_user=3)


@pytest.fixture
def service(listeners):
    return TaskService(listeners.waking(MemoryTasks()))


async def test_a_write_wakes_the_listeners_of_its_user_and_of_nobody_else(listeners, service):
    with listeners.enter(ANN, "stream") as mine, listeners.enter(BOB, "stream") as other:
        await service.create(ANN, title="x")
        assert await mine.wait(0) is not None
        assert await other.wait(0) is None


async def test_a_batch_wakes_once_and_one_that_changes_nothing_wakes_nobody(listeners, service):
    with listeners.enter(ANN, "stream") as mine:
        operations = [PutTask(f"a-batched-name-{number}", Put({"title": "x"})) for number in range(3)]
        for wakes in (True, False):
            await service.batch(ANN, operations)
            assert (await mine.wait(0) is not None) == wakes
            assert await mine.wait(0) is None


async def test_restoring_a_task_wakes_and_what_does_not_move_the_counter_wakes_nobody(listeners, service):
    kept, doomed = [(await service.create(ANN, title="x")).task for _ in range(2)]
    for task in (kept, doomed):
        await service.delete(ANN, task.id)
    with listeners.enter(ANN, "stream") as mine:
        await service.trash(ANN)
        await service.discard(ANN, doomed.id)
        assert await mine.wait(0) is None
        await service.restore(ANN, kept.id)
        assert await mine.wait(0) is not None
        await service.empty_trash(ANN)
        assert await mine.wait(0) is None


async def test_a_write_that_fails_wakes_nobody(listeners, service):
    with listeners.enter(ANN, "stream") as mine:
        with pytest.raises(Exception, match="no such task"):
            await service.toggle(ANN, 7)
        assert await mine.wait(0) is None


async def test_a_wake_between_two_waits_ends_the_next_one(listeners):
    with listeners.enter(ANN, "stream") as mine:
        listeners.wake(ANN)
        listeners.wake(ANN)
        assert await mine.wait(asyncio.get_running_loop().time() + 60) is not None
        assert await mine.wait(0) is None


async def test_the_user_is_bounded_and_so_is_the_worker_and_room_comes_back(listeners):
    with ExitStack() as held:
        for user in (ANN, ANN, ANN, BOB, BOB):
            held.enter_context(listeners.enter(user, "stream"))
        with pytest.raises(TooManyListenersError), listeners.enter(BOB, "stream"):
            pass
    assert len(listeners) == 0
    assert listeners.users == []
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(listeners.enter(ANN, "stream"))
        with pytest.raises(TooManyListenersError), listeners.enter(ANN, "stream"):
            pass
        held.enter_context(listeners.enter(BOB, "stream"))


async def test_a_digest_wakes_its_user(listeners):
    with listeners.enter(ANN, "stream") as mine:
        listeners.wake_digest(digest_of(BOB))
        assert await mine.wait(0) is None
        listeners.wake_digest(digest_of(ANN))
        assert await mine.wait(0) is not None


async def test_the_poll_wakes_those_who_are_behind_and_asks_for_nobody_else(listeners):
    store = MemoryTasks()
    service = TaskService(store)
    made = await service.create(ANN, title="x")
    asked = []

    class Counting(MemoryTasks):
        async def page(self, owner, query, *, unless):
            asked.append(owner)
            return await store.page(owner, query, unless=unless)

    polling = asyncio.create_task(Poll(listeners, Counting(), every=lambda: 0.001).run())
    try:
        with listeners.enter(ANN, "stream") as mine:
            mine.position = made.task.revision
            await until(lambda: len(asked) >= 3)
            assert await mine.wait(0) is None
            await service.toggle(ANN, made.task.id)
            assert await mine.wait(asyncio.get_running_loop().time() + 5) is not None
        assert set(asked) == {ANN}
    finally:
        polling.cancel()


async def test_a_store_whose_version_stands_still_is_not_read(listeners):
    class Still(MemoryTasks):
        versions = 0
        reads = 0

        async def version(self):
            self.versions += 1
            return 7

        async def counters(self, users):
            self.reads += 1
            return dict.fromkeys(users, 0)

    store = Still()
    polling = asyncio.create_task(Poll(listeners, store, every=lambda: 0.001).run())
    try:
        with listeners.enter(ANN, "stream"):
            await until(lambda: store.versions >= 5)
        assert store.reads == 1
    finally:
        polling.cancel()


async def test_rounds_take_a_twentieth_of_the_time_at_most(listeners):
    class Slow(MemoryTasks):
        async def counters(self, users):
            await asyncio.sleep(0.01)
            return dict.fromkeys(users, 0)

    poll = Poll(listeners, Slow(), every=lambda: 0.001)
    polling = asyncio.create_task(poll.run())
    try:
        with listeners.enter(ANN, "stream"):
            await until(lambda: poll.round_seconds)
        assert poll.round_seconds >= 0.2
    finally:
        polling.cancel()


async def test_a_stream_begins_with_ready_and_goes_on_with_changes(listeners, service):
    first = (await service.create(ANN, title="before")).task
    with listeners.enter(ANN, "stream") as listener:
        stream = await ReadStream(service, listener).open()
        async with aclosing(stream.events):
            assert await stream.next() == [("ready", str(first.revision), {"revision": first.revision})]
            second = (await service.create(ANN, title="after")).task
            ((name, id_, data),) = await stream.next()
            assert (name, id_, data["has_more"]) == ("changes", str(second.revision), False)
            assert [task["title"] for task in data["tasks"]] == ["after"]
            await service.delete(ANN, second.id)
            ((name, _, data),) = await stream.next()
            assert [gone["id"] for gone in data["deleted"]] == [second.id]
            assert len(stream.latencies) == 1  # the second is told once its event was taken


async def test_a_stream_resumes_after_its_position(listeners, service):
    first = (await service.create(ANN, title="one")).task
    second = (await service.create(ANN, title="two")).task
    with listeners.enter(ANN, "stream") as listener:
        stream = await ReadStream(service, listener, since=first.revision).open()
        assert (await stream.next())[0][:2] == ("ready", str(first.revision))
        assert (await stream.next())[0][:2] == ("changes", str(second.revision))


async def test_an_event_that_finds_no_room_comes_when_there_is_some_and_holds_it_until_it_is_taken(
    listeners, service, monkeypatch
):
    monkeypatch.setattr(events, "_OUTAGE", 0.01)
    first = (await service.create(ANN, title="a")).task
    for _ in range(20):
        await service.create(ANN, title="b", description="c" * 5_000)
    responses = ResponseMemory(200_000)
    full = [ResponseBudget(responses, BOB), ResponseBudget(responses, user_id("eve"))]
    full[0].take(300_000)
    full[1].take(150_000)
    with listeners.enter(ANN, "stream") as listener:
        stream = ReadStream(service, listener, since=first.revision)
        stream.budget = ResponseBudget(responses, ANN)
        await stream.open()
        await stream.next()
        waiting = asyncio.create_task(stream.next())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        full[1].close()
        ((name, _, page),) = await waiting
        assert (name, len(page["tasks"])) == ("changes", 20)
        assert 100_000 < stream.budget.size < 120_000
        again = asyncio.create_task(stream.next())
        await until(lambda: not stream.budget.size)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


async def test_a_long_absence_comes_in_pages(listeners, service, monkeypatch):
    monkeypatch.setattr(events, "SPACING", 0.001)
    first = (await service.create(ANN, title="one")).task
    for _ in range(250):
        await service.create(ANN, title="x")
    with listeners.enter(ANN, "stream") as listener:
        stream = await ReadStream(service, listener, since=first.revision).open()
        await stream.next()
        pages = [(await stream.next())[0] for _ in range(3)]
        assert [len(data["tasks"]) for _, _, data in pages] == [100, 100, 50]
        assert [data["has_more"] for _, _, data in pages] == [True, True, False]


@pytest.mark.parametrize("since", [0, 99_999_999_999])
async def test_a_position_that_is_none_is_answered_by_resync(listeners, service, since):
    first = (await service.create(ANN, title="one")).task
    with listeners.enter(ANN, "stream") as listener:
        stream = await ReadStream(service, listener, since=since).open()
        assert (await stream.next())[0][0] == "ready"
        assert await stream.next() == [("resync", str(first.revision), {"revision": first.revision})]
        second = (await service.create(ANN, title="two")).task
        assert (await stream.next())[0][:2] == ("changes", str(second.revision))


async def test_zero_is_a_position_for_a_user_who_never_wrote(listeners, service):
    with listeners.enter(ANN, "stream") as listener:
        stream = await ReadStream(service, listener, since=0).open()
        assert await stream.next() == [("ready", "0", {"revision": 0})]
        first = (await service.create(ANN, title="one")).task
        assert (await stream.next())[0][:2] == ("changes", str(first.revision))


@pytest.mark.parametrize(("text", "position"), [(None, None), ("", None), ("17", StreamPosition(17))])
def test_an_event_id_is_a_revision_or_nothing(text, position):
    assert stream_position(text) == position


@pytest.mark.parametrize("text", ["0", "017", "abc", "1.0", "9007199254740992", "-1", "\u0661"])
def test_any_other_event_id_is_unknown(text):
    assert stream_position(text) == StreamPosition(None, known=False)


async def test_pings_say_how_long_the_token_lasts(listeners, service, monkeypatch):
    monkeypatch.setattr(events, "PING", 0.01)
    with listeners.enter(ANN, "stream") as listener:
        stream = await ReadStream(service, listener, expires_in=900).open()
        await stream.next()
        ((name, id_, data),) = await stream.next()
        assert (name, id_) == ("ping", None)
        assert 895 <= data["token_expires_in"] <= 900


async def test_a_stream_ends_before_its_token_does(listeners, service):
    with listeners.enter(ANN, "stream") as listener:
        stream = await ReadStream(service, listener, expires_in=0.5).open()
        await stream.next()
        assert await stream.next() == [("bye", None, {"reason": "token_expires"})]
        with pytest.raises(StopAsyncIteration):
            await anext(stream.events)


async def test_a_stream_is_rotated(listeners, service, monkeypatch):
    monkeypatch.setattr(events, "ROTATION", 0.01)
    with listeners.enter(ANN, "stream") as listener:
        stream = await ReadStream(service, listener).open()
        await stream.next()
        assert await stream.next() == [("bye", None, {"reason": "rotate"})]


async def test_streams_end_one_by_one_when_the_service_leaves(service):
    listeners = live.Listeners()
    with ExitStack() as held:
        stream = [
            await ReadStream(service, held.enter_context(listeners.enter(ANN, "stream"))).open() for _ in range(8)
        ]
        for each in stream:
            await each.next()
        ends = []

        async def last(each):
            assert await each.next() == [("bye", None, {"reason": "restart"})]
            ends.append(asyncio.get_running_loop().time())

        listeners.leave(0.4)
        await asyncio.gather(*map(last, stream))
        assert max(ends) - min(ends) > 0.05
        late = await ReadStream(service, held.enter_context(listeners.enter(ANN, "stream"))).open()
        await late.next()
        assert await late.next() == [("bye", None, {"reason": "restart"})]
