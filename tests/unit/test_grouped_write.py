"""Writes that wait for a group: each learns when its time is over, though all of them share a timer."""

import asyncio

import pytest
import sqlalchemy as sa

from todo_adapters.sql.postgres.connections.grouped_write import GroupedWrite, PresentWrites
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_domain import Unavailable

WRITES = Transaction(sa.text("SELECT 1"), grouped=True)


@pytest.fixture
def present():
    return PresentWrites()


def enter(present, seconds):
    """A write whose caller waits so long."""
    write = GroupedWrite(WRITES, {"owner": "ann"}, asyncio.get_running_loop().time() + seconds)
    present.add(write)
    return write


async def order_of_ends(writes):
    """The places of the writes in the order in which their callers are told that their time is over."""
    ended = []
    for place, write in enumerate(writes):
        write.outcome.add_done_callback(lambda _, place=place: ended.append(place))
    outcomes = await asyncio.wait_for(asyncio.gather(*(write.outcome for write in writes), return_exceptions=True), 10)
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * len(writes)
    return ended


async def test_each_write_ends_when_its_own_time_is_over_whichever_came_first(present):
    writes = [enter(present, seconds) for seconds in (0.06, 0.02, 0.1, 0.04)]
    assert await order_of_ends(writes) == [1, 3, 0, 2]


async def test_a_write_that_comes_after_others_have_ended_ends_in_time_as_well(present):
    for _ in range(3):
        write = enter(present, 0.01)
        await order_of_ends([write])
        present.remove(write)
    assert len(present) == 0


async def test_a_write_that_left_does_not_end(present):
    gone, stays = enter(present, 0.01), enter(present, 0.03)
    present.remove(gone)
    await order_of_ends([stays])
    assert not gone.outcome.done()


async def test_all_writes_share_a_timer(present, monkeypatch):
    loop = asyncio.get_running_loop()
    set_ = []
    call_at = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda *when: set_.append(when) or call_at(*when))
    writes = [enter(present, 30 + number) for number in range(100)]
    assert len(set_) == 1
    for write in writes:
        present.remove(write)
