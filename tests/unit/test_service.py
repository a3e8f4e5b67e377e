"""What a user can do with their tasks, over the memory store."""

from time import monotonic

import pytest

from support.places import MemoryPlace
from todo_adapters.memory import MemoryTasks
from todo_domain import (
    Changes,
    Invalid,
    NotFound,
    Query,
    QuotaReached,
    Stale,
    TaskService,
    Tombstone,
    Unavailable,
    UserId,
)
from todo_domain.deadline import Deadline
from todo_domain.ports import utc_now


@pytest.fixture
def place():
    return MemoryPlace()


@pytest.fixture
async def task(tasks, ann):
    return (await tasks.create(ann, title="first")).task


async def test_a_user_works_with_their_tasks(tasks, clock, ann):
    task = (await tasks.create(ann, title=" Buy milk ", tags=[" shop "])).task
    assert (task.title, task.tags, task.created_at) == ("Buy milk", ("shop",), clock.now)
    clock.advance(hours=1)
    edited = await tasks.edit(ann, task.id, description="oat", completed=True)
    assert edited == task._replace(description="oat", completed_at=clock.now, updated_at=clock.now, revision=2)
    assert (await tasks.toggle(ann, task.id)).status == "incomplete"
    assert await tasks.list(ann, Query(text="OAT")) == ([await tasks.get(ann, task.id)], 3, False)
    await tasks.delete(ann, task.id)
    assert await tasks.changes(ann, since=3) == Changes([], [Tombstone(task.id, None, 4, clock.now)], 4, has_more=False)


async def test_the_quota_is_the_services_own(store, clock, ann):
    tasks = TaskService(store, clock=clock, quota=1)
    await tasks.create(ann, title="the only one")
    with pytest.raises(QuotaReached, match=r"^you have 1 tasks, which is the limit"):
        await tasks.create(ann, title="one too many")


async def test_without_a_clock_it_is_now(store, ann):
    before = utc_now()
    task = (await TaskService(store).create(ann, title="now")).task
    assert before <= task.created_at <= utc_now()
    assert str(task.created_at.tzinfo) == "UTC"


@pytest.mark.parametrize("members", [{"title": "\u3000"}, {}, {"title": "a", "revision": 1}], ids=str)
async def test_a_bad_task_never_reaches_the_store(tasks, ann, members):
    with pytest.raises(Invalid):
        await tasks.create(ann, **members)
    assert (await tasks.list(ann)).revision == 0


async def test_a_bad_edit_never_reaches_the_store(tasks, ann, task):
    for members in ({"title": ""}, {"completed": True, "status": "incomplete"}):
        with pytest.raises(Invalid):
            await tasks.edit(ann, task.id, **members)
    assert await tasks.get(ann, task.id) == task


async def test_an_edit_that_changes_nothing_writes_nothing(tasks, clock, ann, task):
    clock.advance(hours=1)
    assert await tasks.edit(ann, task.id) == task
    assert await tasks.edit(ann, task.id, title=" first ", completed=False) == task
    assert (await tasks.list(ann)).revision == task.revision


async def test_a_condition_that_holds_lets_each_write_through(tasks, ann, task):
    edited = await tasks.edit(ann, task.id, if_match={task.revision}, title="second")
    toggled = await tasks.toggle(ann, task.id, if_match=[task.revision, edited.revision])
    assert (edited.title, toggled.completed) == ("second", True)
    await tasks.delete(ann, task.id, if_match=(toggled.revision,))


async def test_a_condition_that_fails_shows_the_task_as_it_is_now(tasks, ann, task):
    current = await tasks.edit(ann, task.id, title="moved on")
    for write in (
        lambda: tasks.edit(ann, task.id, if_match={task.revision}, title="late"),
        lambda: tasks.edit(ann, task.id, if_match={task.revision}, title="moved on"),  # also where it changes nothing
        lambda: tasks.toggle(ann, task.id, if_match={task.revision}),
        lambda: tasks.toggle(ann, task.id, if_match=()),
        lambda: tasks.delete(ann, task.id, if_match={task.revision}),
    ):
        with pytest.raises(Stale) as stale:
            await write()
        assert stale.value.current == current
    assert await tasks.get(ann, task.id) == current


async def test_a_condition_on_a_task_that_is_gone_is_not_found(tasks, ann, task):
    await tasks.delete(ann, task.id)
    for write in (
        lambda: tasks.edit(ann, task.id, if_match={task.revision}, title="late"),
        lambda: tasks.toggle(ann, task.id, if_match={task.revision}),
        lambda: tasks.delete(ann, task.id, if_match={task.revision}),
    ):
        with pytest.raises(NotFound):
            await write()


class Contended(MemoryTasks):
    """A store in which somebody else is faster, a number of times."""

    def __init__(self, rivals):
        super().__init__()
        self.rivals = rivals

    async def replace(self, owner, edited, *, now, once, trash_kept, deadline):  # noqa: ARG002  the port's
        if self.rivals:
            self.rivals -= 1
            current = await self.get(owner, edited.id)
            await super().replace(owner, current._replace(description=f"{self.rivals} more to come"), now=now)
        return await super().replace(owner, edited, now=now)


async def test_a_write_that_loses_its_race_is_tried_again_on_what_is_there_now(clock, ann):
    tasks = TaskService(Contended(rivals=50), clock=clock)
    task = (await tasks.create(ann, title="first")).task
    edited = await tasks.edit(ann, task.id, title="second")
    assert (edited.title, edited.description, edited.revision) == ("second", "0 more to come", 52)


async def test_a_write_with_a_condition_that_loses_its_race_is_stale(clock, ann):
    tasks = TaskService(Contended(rivals=1), clock=clock)
    task = (await tasks.create(ann, title="first")).task
    with pytest.raises(Stale) as stale:
        await tasks.toggle(ann, task.id, if_match={task.revision})
    assert stale.value.current == await tasks.get(ann, task.id)
    assert stale.value.current.completed is False


async def test_a_write_that_keeps_losing_gives_up_at_the_deadline_and_has_written_nothing(clock, ann):
    tasks = TaskService(Contended(rivals=10**9), clock=clock)
    task = (await tasks.create(ann, title="first")).task
    begun = monotonic()
    with pytest.raises(Unavailable) as refusal:
        await tasks.edit(ann, task.id, title="second", deadline=Deadline.within(0.01))
    assert monotonic() - begun < 1
    assert not refusal.value.outcome_unknown
    assert (await tasks.get(ann, task.id)).title == "first"


async def test_a_misspelt_member_is_refused_and_nothing_is_written(clock, ann):
    tasks = TaskService(MemoryTasks(), clock=clock)
    task = (await tasks.create(ann, title="first")).task
    for typo in (
        tasks.create(ann, title="c", prioriy=3),
        tasks.edit(ann, task.id, titel="x"),
        tasks.create(ann, title="c", tags="home"),
        tasks.edit(ann, task.id, tags="home"),
    ):
        with pytest.raises(Invalid):
            await typo
    assert (await tasks.list(ann)).tasks == [task]


class Leaky(MemoryTasks):
    """A store whose own wall is down: it takes everybody for the same user."""

    def __init__(self):
        super().__init__()
        self._everybody = super()._account(UserId("everybody"))

    def _account(self, _owner, **_begins):
        return self._everybody


async def test_the_service_keeps_users_apart_though_the_store_does_not(clock, ann, bob):
    tasks = TaskService(Leaky(), clock=clock)
    task = (await tasks.create(ann, title="of ann")).task
    for method in (
        lambda: tasks.get(bob, task.id),
        lambda: tasks.edit(bob, task.id, title="taken"),
        lambda: tasks.edit(bob, task.id, if_match={9}, title="taken"),
        lambda: tasks.toggle(bob, task.id, if_match={task.revision}),
        lambda: tasks.delete(bob, task.id, if_match={9}),
    ):
        with pytest.raises(NotFound):
            await method()
    assert (await tasks.list(bob)).tasks == []
    assert (await tasks.changes(bob)).tasks == []
    assert await tasks.get(ann, task.id) == task
