"""The memory of responses: how much there is, who gets it, who waits, and that it comes back."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo_adapters.http.protocol import response_memory
from todo_adapters.http.protocol.response_memory import SHARE, UNCOUNTED, ResponseBudget, ResponseMemory
from todo_app.compose import memory_of_quota
from todo_app.settings import read_settings
from todo_domain import BudgetExceeded, Deadline, Unavailable, user_id
from todo_domain.extra import LARGEST_EXTRA
from todo_domain.memory_budget import LARGEST_TASK, memory_of
from todo_domain.owner import LONGEST_USER_ID
from todo_domain.task import LONGEST_DESCRIPTION, LONGEST_TAG, LONGEST_TITLE, MOST_TAGS, new_task

MEBIBYTE = 2**20
MOST = 16 * MEBIBYTE


@pytest.fixture
def memory():
    return ResponseMemory(MOST)


def budget_of(memory, size, owner="ann"):
    budget = ResponseBudget(memory, owner)
    budget.take(size)
    return budget


def full(memory):
    """One response of any size, and as many of other users as there is room for."""
    return [budget_of(memory, MOST + 1, "huge"), *(budget_of(memory, MEBIBYTE, f"user {n}") for n in range(16))]


async def test_one_response_has_room_whatever_its_size(memory):
    budget = budget_of(memory, 1_000 * MOST)
    assert memory.held == 1_000 * MOST
    budget.empty()
    assert memory.held == 0


async def test_responses_have_room_beside_one_of_any_size_until_they_are_too_many(memory):
    full(memory)
    assert memory.held == 2 * MOST + 1
    with pytest.raises(BudgetExceeded):
        budget_of(memory, MEBIBYTE)
    assert memory.held == 2 * MOST + 1


async def test_a_response_that_fits_into_the_servers_buffer_always_has_room(memory):
    full(memory)
    for _ in range(1_000):
        budget_of(memory, UNCOUNTED)
    assert memory.held == 2 * MOST + 1


async def test_a_response_grows_as_it_is_read_and_is_refused_where_it_no_longer_fits(memory):
    budgets = full(memory)
    budgets[1].empty()
    budget = ResponseBudget(memory, "ann")
    for _ in range(16):
        budget.take(UNCOUNTED)
    assert memory.held == 2 * MOST + 1
    with pytest.raises(BudgetExceeded):
        budget.take(1)
    assert (budget.size, budget.wanted) == (MEBIBYTE, MEBIBYTE + 1)


async def test_the_response_that_no_longer_fits_is_the_one_of_any_size_if_there_is_none(memory):
    budgets = [budget_of(memory, MEBIBYTE, f"user {n}") for n in range(16)]
    budgets[3].take(100 * MOST)
    assert memory.held == 16 * MEBIBYTE + 100 * MOST
    budget_of(memory, MEBIBYTE)  # in the place of what became that one
    with pytest.raises(BudgetExceeded):
        budget_of(memory, MEBIBYTE)


async def test_one_user_leaves_most_of_the_memory_to_others(memory):
    budget_of(memory, MOST + 1, "huge")
    for _ in range(4):
        budget_of(memory, MOST // SHARE // 4)
    with pytest.raises(BudgetExceeded):
        budget_of(memory, UNCOUNTED + 1)
    budget_of(memory, MOST // SHARE, "bob")


async def test_a_single_response_may_take_all_there_is(memory):
    budget_of(memory, MOST + 1, "huge")
    assert budget_of(memory, MOST).size == MOST


def responding(memory, size, owner="ann", *, sizes=None, deadline=None):
    """A response of this size on its way; `sizes` are those that its room had whenever it was read."""

    async def sent(_scope, _receive, send):
        await send(None)

    async def make(budget):
        if sizes is not None:
            sizes.append(budget.size)
        for _ in range(4):
            budget.take(size // 4)
        return sent

    return asyncio.create_task(memory.respond(owner, make, deadline))


async def begun(memory, waiting=1):
    while len(memory._waiting) < waiting:  # noqa: ASYNC110  it comes within a few rounds of the loop
        await asyncio.sleep(0)


async def test_what_waits_has_room_as_soon_as_enough_is_given_back(memory):
    budgets = full(memory)
    sizes = []
    waits = responding(memory, 3 * MEBIBYTE, sizes=sizes)
    await begun(memory)
    for given_back in budgets[1:3]:
        given_back.empty()
        await begun(memory)
    budgets[3].empty()
    await waits
    assert set(sizes) == {0}  # what was read in vain is dropped
    assert memory.held == 2 * MOST + 1


async def test_what_waits_may_be_the_next_of_any_size(memory):
    budgets = full(memory)
    waits = responding(memory, 5 * MOST)
    await begun(memory)
    budgets[0].empty()
    await waits
    assert memory.held == 6 * MOST


async def test_what_waited_in_vain_is_refused_and_nothing_of_it_is_held(memory):
    full(memory)
    held = memory.held
    with pytest.raises(BudgetExceeded, match="too many long responses are being sent: try again"):
        await responding(memory, MEBIBYTE, deadline=Deadline.within(0.02))
    assert (memory.held, memory._waiting, "ann" in memory._held_of) == (held, {}, False)


async def test_a_response_that_cannot_be_made_holds_nothing(memory):
    async def make(budget):
        budget.take(MEBIBYTE)
        raise Unavailable("the database is out of reach")

    with pytest.raises(Unavailable, match="out of reach"):
        await memory.respond("ann", make, None)
    assert memory.held == 0


async def test_a_response_holds_its_room_until_it_is_sent_or_its_client_is_gone(memory):
    held = []

    async def send(_):
        held.append(memory.held)

    async def gone(_):
        raise ConnectionError

    response = await responding(memory, MEBIBYTE)
    await response({}, None, send)
    assert (held, memory.held) == ([MEBIBYTE], 0)
    response = await responding(memory, MEBIBYTE)
    with pytest.raises(ConnectionError):
        await response({}, None, gone)
    assert memory.held == 0


async def test_a_response_that_stops_waiting_takes_nobodys_turn(memory):
    budgets = full(memory)
    gone, waits = responding(memory, MEBIBYTE), responding(memory, MEBIBYTE, "bob")
    await begun(memory, 2)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    budgets[1].empty()
    await waits
    assert memory._held_of["bob"] == MEBIBYTE
    assert "ann" not in memory._held_of


async def test_threads_count_at_the_same_time(memory):
    budgets = [ResponseBudget(memory, f"user {n}") for n in range(4)]
    threads = [
        threading.Thread(target=lambda budget=budget: [budget.take(1_000) for _ in range(2_000)]) for budget in budgets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.held == 4 * 2_000_000
    for budget in budgets:
        budget.empty()
    assert (memory.held, memory._held_of) == (0, {})


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2 * UNCOUNTED) | st.integers(0, 2 * MOST)), max_size=40))
def test_whatever_comes_and_goes_the_count_is_right_and_within_the_bound(steps):
    async def run():
        memory = ResponseMemory(MOST)
        budgets = [ResponseBudget(memory, "ann" if n < 3 else f"user {n}") for n in range(6)]
        for number, size in steps:
            if size == 0:
                budgets[number].empty()
            else:
                try:
                    budgets[number].take(size)
                except BudgetExceeded:
                    assert budgets[number] is not memory._largest
            counted = sum(
                budget.size for budget in budgets if budget.size > UNCOUNTED and budget is not memory._largest
            )
            assert memory._held == counted <= MOST
            assert sum(memory._held_of.values()) == counted
        for budget in budgets:
            budget.empty()
        assert (memory.held, memory._held_of, memory._largest) == (0, {}, None)

    asyncio.run(run())


async def test_a_read_that_goes_on_for_nobody_finds_no_room(memory):
    budget = budget_of(memory, MEBIBYTE)
    budget.close()
    with pytest.raises(BudgetExceeded):
        budget.take(1)
    assert memory.held == 0


async def test_memory_of_a_large_response_goes_back_to_the_system(memory, monkeypatch):
    trimmed = threading.Event()
    monkeypatch.setattr(response_memory, "_trim", trimmed.set)
    budget_of(memory, response_memory.LARGE).empty()
    await asyncio.sleep(0.05)
    assert not trimmed.is_set()
    budget_of(memory, response_memory.LARGE + 1).empty()
    assert await asyncio.to_thread(trimmed.wait, 10)


def test_the_largest_task_is_what_the_longest_texts_take():
    texts = {"title": "\U0001f600" * LONGEST_TITLE, "description": "\U0001f600" * LONGEST_DESCRIPTION}
    tags = [f"{number:02}" + "\U0001f600" * (LONGEST_TAG - 2) for number in range(MOST_TAGS)]
    owner = user_id("\U0001f600" * LONGEST_USER_ID)
    extra = '{"a":"\U0001f600' + "a" * (LARGEST_EXTRA - 12) + '"}'  # the first character makes all take four bytes
    task = new_task({**texts, "tags": tags, "extra": extra}, id=1, owner=owner, revision=1, now=datetime.now(UTC))
    assert 0.99 * LARGEST_TASK < memory_of(task) <= LARGEST_TASK


def test_a_quota_above_the_default_says_at_the_start_what_memory_it_takes():
    assert memory_of_quota(read_settings(environment={"TODO_MAX_TASKS_PER_USER": "10000"})) == []
    (caution,) = memory_of_quota(read_settings(environment={"TODO_MAX_TASKS_PER_USER": "100000"}))
    assert caution.startswith("TODO_MAX_TASKS_PER_USER=100000: while the longest list of one user is sent, it takes ")
    assert f"{100_000 * LARGEST_TASK // 2**20:,} MiB of a worker's memory beside TODO_MAX_ANSWERS_BYTES" in caution
