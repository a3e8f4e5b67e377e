"""Of each user one read that may take long is at the store at a time; short ones and those of others go on."""

import asyncio
from datetime import date

import pytest

from todo_adapters.http.middleware.fairness import FairTasks
from todo_adapters.memory import MemoryTasks
from todo_domain import Deadline, NotFound, Priority, Query, Sort, TaskService, Unavailable
from todo_domain.feed import new_feed_token
from todo_domain.query import SHORT_PAGE

LONG = [
    Query(limit=SHORT_PAGE + 1),
    Query(text="x", limit=1),
    Query(priorities=(Priority.LOW,), limit=1),
    Query(tags=("x",), limit=1),
    Query(completed=False, limit=1),
    Query(sort=Sort("title"), limit=1),
    Query(sort=Sort("due_date"), limit=1),
    Query(sort=Sort("updated_at"), limit=1),
    Query(sort=Sort("priority"), limit=1),
]
SEARCH = LONG[1]
SHORT = [Query(limit=1), Query(limit=SHORT_PAGE), Query(limit=1, sort=Sort("id", descending=False))]


class Gated(MemoryTasks):
    """A store whose reads end when they are let through: `read` have begun, `reading` have not ended."""

    def __init__(self):
        super().__init__()
        self.reading = []
        self.read = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def _pass(self, owner, read):
        self.reading.append((owner, read))
        self.read.append((owner, read))
        try:
            await self.gate.wait()
        finally:
            self.reading.remove((owner, read))

    async def page(self, owner, query, **how):
        await self._pass(owner, query)
        return await super().page(owner, query, **how)

    async def changes(self, owner, *, since, limit, **how):
        await self._pass(owner, (since, limit))
        return await super().changes(owner, since=since, limit=limit, **how)


@pytest.fixture
async def gated(ann, bob):
    store = Gated()
    tasks = TaskService(store)
    for number in range(SHORT_PAGE + 5):
        for owner in (ann, bob):
            await tasks.create(owner, title=f"{number}")
    return store


@pytest.fixture
def fair(gated):
    return TaskService(FairTasks(gated))


async def begun(*calls):
    """The calls as tasks, each as far as it comes by itself."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    for _ in range(20):
        await asyncio.sleep(0)
    return tasks


async def ended(gated, tasks):
    gated.gate.set()
    return await asyncio.gather(*tasks)


@pytest.mark.parametrize("query", LONG, ids=str)
async def test_a_second_long_read_of_a_user_waits_for_the_first(gated, fair, ann, bob, query):
    gated.gate.clear()
    tasks = await begun(fair.list(ann, query), fair.list(ann, query), fair.list(bob, query))
    assert gated.reading == [(ann, query), (bob, query)]
    pages = await ended(gated, tasks)
    assert pages[0] == pages[1] == await TaskService(gated).list(ann, query)


@pytest.mark.parametrize("query", SHORT, ids=str)
async def test_short_reads_wait_for_nothing(gated, fair, ann, query):
    first = (await fair.changes(ann)).tasks[0].revision
    gated.gate.clear()
    short = [fair.list(ann, query) for _ in range(3)]
    tasks = await begun(fair.list(ann, SEARCH), *short, fair.changes(ann, since=first, limit=SHORT_PAGE))
    assert len(gated.reading) == 5
    await ended(gated, tasks)


async def test_the_whole_state_waits_for_a_list_and_the_other_way_round(gated, fair, ann):
    gated.gate.clear()
    searching = await begun(fair.list(ann, SEARCH))
    waiting = await begun(fair.changes(ann), fair.list(ann), fair.changes(ann))
    assert gated.reading == [(ann, SEARCH)]
    _, state, whole, again = await ended(gated, [*searching, *waiting])
    assert state == again == await TaskService(gated).changes(ann)
    assert whole == await TaskService(gated).list(ann)
    assert len(state.tasks) == SHORT_PAGE + 5


async def test_a_whole_list_and_a_state_that_are_short_are_read_as_a_page(gated, fair, ann):
    tasks = TaskService(gated)
    for task in (await tasks.list(ann)).tasks[:10]:
        await tasks.delete(ann, task.id)
    await tasks.toggle(ann, (await tasks.list(ann)).tasks[3].id)
    gated.read.clear()
    state, whole = await fair.changes(ann), await fair.list(ann)
    assert gated.read == [(ann, Query(limit=SHORT_PAGE))] * 2
    assert (state, whole) == (await tasks.changes(ann), await tasks.list(ann))
    assert len(state.tasks) == SHORT_PAGE - 5


async def test_changes_that_turn_out_to_be_short_take_no_turn(gated, fair, ann):
    tasks = TaskService(gated)
    since = (await tasks.changes(ann)).revision - 20
    gated.gate.clear()
    waiting = await begun(fair.list(ann, SEARCH), fair.changes(ann, since=since))
    assert len(gated.reading) == 2
    _, changes = await ended(gated, waiting)
    assert changes == await tasks.changes(ann, since=since)
    assert len(changes.tasks) == 20


async def test_changes_beyond_a_short_page_are_read_again_and_whole(gated, fair, ann):
    tasks = TaskService(gated)
    first = (await tasks.changes(ann)).tasks[0].revision
    assert await fair.changes(ann, since=first) == await tasks.changes(ann, since=first)
    assert await fair.changes(ann, since=first, limit=3) == await tasks.changes(ann, since=first, limit=3)
    assert (await fair.changes(ann, since=first)).has_more is False


async def test_a_read_that_waits_in_vain_is_refused_and_the_next_has_its_turn(gated, fair, ann):
    gated.gate.clear()
    (first,) = await begun(fair.list(ann, SEARCH))
    with pytest.raises(Unavailable, match="another long list of yours is being read: try again"):
        await fair.list(ann, SEARCH, deadline=Deadline.within(0.02))
    await ended(gated, [first])
    await fair.list(ann, SEARCH)


async def test_a_cancelled_read_gives_its_turn_back(gated, fair, ann):
    gated.gate.clear()
    first, second, third = await begun(*(fair.list(ann, SEARCH) for _ in range(3)))
    second.cancel()
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    gated.gate.set()
    assert await third == await TaskService(gated).list(ann, SEARCH)


async def test_turns_of_users_who_are_gone_are_forgotten(gated, ann, bob):
    fair = FairTasks(gated)
    for owner in (ann, bob):
        await fair.page(owner, SEARCH, unless=None)
    assert not fair._reading


async def test_a_feed_waits_for_long_reads_of_its_owner_only_if_it_is_long_and_its_token_right(gated, fair, ann):
    token = await fair.make_feed(ann)
    gated.gate.clear()
    (searching,) = await begun(fair.list(ann, SEARCH))
    assert (await fair.feed(ann, token)).tasks == [], "which is short"
    with pytest.raises(NotFound):
        await fair.feed(ann, new_feed_token(ann))
    gated.gate.set()
    await searching
    for number in range(SHORT_PAGE + 1):
        await fair.create(ann, title=f"{number}", due_date=date(2026, 12, 1))
    gated.gate.clear()
    searching, long = await begun(fair.list(ann, SEARCH), fair.feed(ann, token))
    assert not long.done()
    with pytest.raises(NotFound):
        await fair.feed(ann, new_feed_token(ann))
    gated.gate.set()
    assert len((await long).tasks) == SHORT_PAGE + 1
    await searching
