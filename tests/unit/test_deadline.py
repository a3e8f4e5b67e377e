"""The one deadline of a request, and how the service spends it."""

import pytest

from todo_adapters.memory import MemoryTasks
from todo_domain import Deadline, Query, Stale, TaskService, Unavailable
from todo_domain.deadline import RESPOND_WITHIN


class Noting(MemoryTasks):
    """A store that keeps the deadline of each call."""

    def __init__(self):
        super().__init__()
        self.deadlines = {}

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        if name not in {"create", "get", "page", "replace", "toggle", "delete", "changes"}:
            return found

        async def noted(*args, deadline=None, **kwargs):
            self.deadlines[name] = deadline
            return await found(*args, **kwargs)

        return noted


def test_what_is_left_of_a_deadline_shrinks_and_grows():
    deadline = Deadline.within(5)
    assert 4 < deadline.left() <= 5
    assert 5 < deadline.later(2).left() <= 7
    assert Deadline.within(-1).left() < 0
    assert Deadline.within().left() <= RESPOND_WITHIN < 3


async def test_the_service_hands_its_deadline_to_every_call_of_the_store(ann, clock):
    store = Noting()
    tasks, deadline = TaskService(store, clock=clock), Deadline.within(60)
    task = (await tasks.create(ann, title="x", deadline=deadline)).task
    await tasks.get(ann, task.id, deadline=deadline)
    await tasks.list(ann, Query(), deadline=deadline)
    task = await tasks.edit(ann, task.id, title="y", deadline=deadline)
    await tasks.toggle(ann, task.id, deadline=deadline)
    await tasks.changes(ann, deadline=deadline)
    await tasks.delete(ann, task.id, deadline=deadline)
    assert store.deadlines == dict.fromkeys(
        ["create", "get", "page", "replace", "toggle", "changes", "delete"], deadline
    )


async def test_the_two_calls_of_an_edit_share_a_deadline_also_without_one(ann, clock):
    store = Noting()
    tasks = TaskService(store, clock=clock)
    task = (await tasks.create(ann, title="x")).task
    await tasks.edit(ann, task.id, title="y")
    assert store.deadlines["get"] is store.deadlines["replace"] is not None
    assert store.deadlines["get"].left() <= RESPOND_WITHIN


async def test_a_write_that_loses_its_race_after_the_deadline_is_not_tried_again(ann, clock):
    class Losing(MemoryTasks):
        async def replace(self, owner, edited, *, now, once, trash_kept, deadline):  # noqa: ARG002  the port's
            raise Stale(edited)

    tasks = TaskService(Losing(), clock=clock)
    task = (await tasks.create(ann, title="x")).task
    with pytest.raises(Unavailable) as refused:
        await tasks.edit(ann, task.id, title="y", deadline=Deadline.within(-1))
    assert not refused.value.outcome_unknown
