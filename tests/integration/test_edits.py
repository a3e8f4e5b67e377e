"""An edit in PostgreSQL that writes nothing reads the task to find out why; another write may come before that."""

from contextlib import aclosing

import pytest

from todo_adapters.sql.postgres.statements import transactions
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_domain import Deadline, Stale, Unavailable
from todo_domain.editing import Edit


@pytest.fixture
async def store(postgres_databases, postgres_database):
    async with aclosing(PostgresTasks(postgres_databases.url(postgres_database))) as opened:
        yield opened


async def a_task(store, owner, clock):
    """A task with the title "a"."""
    return (await store.create(owner, {"title": "a"}, now=clock(), quota=9, once=None)).task


def before_the_read(store, monkeypatch, write):
    """Have `write` done before each read of one task by its id."""
    run = store._run

    async def run_later(transaction, values, **how):
        if transaction is transactions.GET:
            await write()
        return await run(transaction, values, **how)

    monkeypatch.setattr(store, "_run", run_later)


async def test_an_edit_is_done_if_the_task_has_changed_before_it_is_read(store, clock, ann, monkeypatch):
    task = await a_task(store, ann, clock)

    async def other_title():
        await store.edit(ann, task.id, Edit({"title": "b"}), now=clock())

    before_the_read(store, monkeypatch, other_title)
    edited = await store.edit(ann, task.id, Edit({"title": "a"}), now=clock())
    assert (edited.title, edited.revision) == ("a", task.revision + 2)


async def test_an_edit_is_stale_if_the_task_leaves_its_revision_before_it_is_read(store, clock, ann, monkeypatch):
    task = await a_task(store, ann, clock)

    async def other_title():
        await store.edit(ann, task.id, Edit({"title": "b"}), now=clock())

    before_the_read(store, monkeypatch, other_title)
    with pytest.raises(Stale) as raised:
        await store.edit(ann, task.id, Edit({"title": "a"}, {task.revision}), now=clock())
    assert raised.value.current.title == "b"


async def test_an_edit_ends_at_its_deadline_if_another_write_always_comes_first(store, clock, ann, monkeypatch):
    task = await a_task(store, ann, clock)

    async def nothing_edited(*_):
        return [[]]

    monkeypatch.setattr(store, "_run_once", nothing_edited)
    with pytest.raises(Unavailable) as raised:
        await store.edit(ann, task.id, Edit({"title": "b"}), now=clock(), deadline=Deadline.within(0.4))
    assert not raised.value.outcome_unknown
