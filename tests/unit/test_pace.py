"""Long work pauses while the worker has other requests: `protocol/pace.py`."""

import asyncio
import time
from contextlib import nullcontext
from math import inf

import pytest

from todo_adapters.http.protocol import pace as module
from todo_adapters.http.protocol.pace import SHARE, SLICE, Pace, Traffic
from todo_domain import Deadline, Unavailable


def work(seconds):
    """Use the processor for so long."""
    begun = time.thread_time()
    while time.thread_time() - begun < seconds:
        pass


def busy():
    """The traffic of a worker that is never quiet."""
    traffic = Traffic()
    traffic.latest = inf
    return traffic


async def pauses(monkeypatch, deadline, traffic, *steps):
    """The pauses of work that comes in these steps, each of so many seconds, in seconds."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    pace = Pace(len(steps), deadline, traffic)
    for done, seconds in enumerate(steps, start=1):
        work(seconds)
        await pace.pause(done)
    return slept


async def test_work_takes_its_share_of_the_time_and_no_more(monkeypatch):
    slept = await pauses(monkeypatch, Deadline.within(3_600), busy(), *[2 * SLICE] * 5)
    assert len(slept) == 5
    for seconds in slept:
        assert seconds >= 2 * SLICE / SHARE - 2 * SLICE


async def test_work_in_a_quiet_worker_lets_others_run_and_goes_on_at_once(monkeypatch):
    assert await pauses(monkeypatch, Deadline.within(3_600), Traffic(), *[2 * SLICE] * 5) == [0] * 5


async def test_short_work_goes_on_without_a_pause(monkeypatch):
    monkeypatch.setattr(module, "SLICE", 3_600)
    assert await pauses(monkeypatch, Deadline.within(3_600), busy(), *[SLICE] * 5) == []


async def test_a_worker_is_quiet_again_half_a_second_after_a_request(monkeypatch):
    now = 1_000.0
    monkeypatch.setattr(module, "perf_counter", lambda: now)
    traffic = Traffic()
    assert traffic.quiet()
    traffic.latest = now
    assert not traffic.quiet()
    now += module.QUIET + 0.001
    assert traffic.quiet()


class Time:
    """A clock that only work and pauses move: the deadline and the processor time of a `Pace`."""

    def __init__(self, monkeypatch, seconds):
        self.left_, self.paused, self.spent = seconds, 0.0, 0.0
        monkeypatch.setattr(module, "process_time", lambda: self.spent)
        monkeypatch.setattr(module.asyncio, "sleep", self.sleep)

    def left(self):
        return self.left_

    def work(self, seconds, waiting=0.0):
        self.spent += seconds
        self.left_ -= seconds + waiting

    async def sleep(self, seconds):
        assert seconds >= 0
        self.paused += seconds
        self.left_ -= seconds


@pytest.mark.parametrize("work", [0.1, 1, 5, 7, 10, 15, 19, 25, 29])
@pytest.mark.parametrize("waiting", [0, 3], ids=["work", "waits for a database as well"])
async def test_the_pauses_end_in_time(monkeypatch, work, waiting):
    time, parts = Time(monkeypatch, 30), 400
    pace = Pace(parts, time, busy())
    in_time = (1 + waiting) * work < 30
    with nullcontext() if in_time else pytest.raises(Unavailable, match="in smaller parts"):
        for done in range(1, parts + 1):
            time.work(work / parts, waiting * work / parts)
            await pace.pause(done)
    assert time.paused <= min(21, work / SHARE)
    assert (time.left() >= 0) == in_time
    assert time.left() >= 3 or not time.paused, "no pause takes the last tenth of the time"
    if (1 + waiting) * work <= 5:
        assert time.paused >= 0.9 * min(21, work / SHARE - work)


@pytest.mark.parametrize(
    ("traffic", "work", "in_share"), [(busy(), 1, True), (busy(), 5, False), (Traffic(), 1, False)]
)
async def test_work_says_whether_it_takes_its_share(monkeypatch, traffic, work, in_share):
    time, parts = Time(monkeypatch, 30), 100
    pace = Pace(parts, time, traffic)
    assert pace.in_share == (traffic.latest == inf)
    for done in range(1, 11):
        time.work(work / parts)
        await pace.pause(done)
    assert pace.in_share == in_share


async def test_a_long_part_does_not_change_whether_work_takes_its_share(monkeypatch):
    time = Time(monkeypatch, 30)
    pace = Pace(100, time, busy())
    for _ in range(3):
        time.work(0.001)
        await pace.pause(0)
    assert pace.in_share
    assert time.paused == 0


async def test_a_part_of_the_work_may_take_less_of_the_time(monkeypatch):
    time, parts = Time(monkeypatch, 30), 100
    pace = Pace(parts, time, busy(), most=0.1)
    for done in range(1, parts + 1):
        time.work(1 / parts)
        await pace.pause(done)
    assert 2.9 < time.paused <= 3.01


async def test_work_that_is_slower_than_it_began_takes_the_time_of_the_pauses(monkeypatch):
    time, parts = Time(monkeypatch, 30), 400
    pace = Pace(parts, time, busy())
    for done in range(1, parts + 1):
        time.work((2 if done < parts / 2 else 18) / parts)
        await pace.pause(done)
    assert time.paused > 5
    assert time.left() >= 0


async def test_others_run_while_work_pauses():
    pace, ran = Pace(10, Deadline.within(60), busy()), []

    async def other():
        for _ in range(5):
            ran.append(1)
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    for done in range(10):
        work(2 * SLICE)
        await pace.pause(done)
    assert running.done()
    assert len(ran) == 5
