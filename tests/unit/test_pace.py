"""Long work rests: `protocol/pace.py`."""

import asyncio
import time

from todo_adapters.http.protocol import pace as module
from todo_adapters.http.protocol.pace import SHARE, SLICE, Pace
from todo_domain import Deadline


def work(seconds):
    """Use the processor for so long."""
    begun = time.thread_time()
    while time.thread_time() - begun < seconds:
        pass


async def rests(monkeypatch, deadline, *steps):
    """The rests of work that comes in these steps, each of so many seconds, in seconds."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    pace = Pace(len(steps), deadline)
    for done, seconds in enumerate(steps, start=1):
        work(seconds)
        await pace.pause(done)
    return slept


async def test_work_takes_its_share_of_the_time_and_no_more(monkeypatch):
    slept = await rests(monkeypatch, Deadline.within(3_600), *[2 * SLICE] * 5)
    assert len(slept) == 5
    for seconds in slept:
        assert seconds >= 2 * SLICE / SHARE - 2 * SLICE


async def test_short_work_goes_on_without_a_rest(monkeypatch):
    monkeypatch.setattr(module, "SLICE", 3_600)
    assert await rests(monkeypatch, Deadline.within(3_600), *[SLICE] * 5) == []


async def test_the_rests_end_in_time(monkeypatch):
    slept = await rests(monkeypatch, Deadline.within(0.001), *[2 * SLICE] * 10)
    assert sum(slept) <= 0.001 / 4
    assert all(seconds >= 0 for seconds in await rests(monkeypatch, Deadline.within(-1), *[2 * SLICE] * 3))


async def test_others_run_while_work_rests():
    pace, ran = Pace(10, Deadline.within(60)), []

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
