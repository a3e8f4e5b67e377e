"""SQLite and PostgreSQL list exactly what the reference in `todo_domain.query` lists."""

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import strategies
from support.length import examples
from todo_domain import ListPosition, Page, Query, user_id
from todo_domain.query import list_position, select
from todo_domain.text import fold

MADE = st.lists(st.tuples(strategies.MEMBERS, strategies.MOMENTS, st.none() | strategies.MOMENTS), max_size=9)
"""What tasks are made of, when, and when they are toggled, if ever."""

_numbers = count(1)


@pytest.fixture(params=["sqlite_place", "postgres_place"])
def place(request):
    return request.getfixturevalue(request.param)


def among(tasks, query):
    """Return the query with the id of a task that there is in the place of the number that was drawn."""
    if query.after is None or not tasks:
        return query
    value, number = query.after
    task_id = tasks[number % len(tasks)].id
    return query._replace(after=ListPosition(task_id if query.sort.field == "id" else value, task_id))


async def assert_same_walk(store, owner, tasks, query):
    """Walk from the query's place to the end, and hold each page against the reference."""
    counter = max((task.revision for task in tasks), default=0)
    more = True
    while more:
        expected, more = select(tasks, query)
        assert await store.page(owner, query, unless=None) == Page(expected, counter, more)
        if more:
            query = query._replace(after=list_position(expected[-1], query.sort))


# Each example has a user of its own, so that they may share the store.
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MADE, st.lists(strategies.queries(limits=st.none() | st.integers(1, 4)), min_size=3, max_size=3))
async def test_a_store_lists_what_the_reference_lists(store, made, queries):
    owner = user_id(f"parity-{next(_numbers)}")
    tasks = []
    for members, created_at, toggled_at in made:
        task = (await store.create(owner, members, now=created_at, quota=100, once=None)).task
        tasks.append(task if toggled_at is None else await store.toggle(owner, task.id, now=toggled_at))
    for query in queries:
        await assert_same_walk(store, owner, tasks, among(tasks, query))


CHARACTERS = st.sampled_from(
    [*"aAb.*+?^$()[]{}|\\%_'\"#&~=-: \n\t", "\u0301", "\u0345", "é", "ß", "ж", "Ж", "😀", "\uffff"]
)
DESCRIBED = st.lists(st.text(CHARACTERS, max_size=8) | st.text(st.sampled_from("ab"), max_size=20), max_size=6)
SEARCHED = st.text(CHARACTERS, max_size=4) | st.text(st.sampled_from("ab"), max_size=6)


@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DESCRIBED, st.lists(SEARCHED, min_size=3, max_size=3), st.data())
@pytest.mark.parametrize("place", ["memory_place", "sqlite_place", "postgres_place"], indirect=True)
async def test_a_search_finds_the_descriptions_that_its_folded_text_is_in(store, described, searched, data):
    owner = user_id(f"parity-{next(_numbers)}")
    for description in described:
        members = {"title": "z", "description": description}
        await store.create(owner, members, now=strategies.NOW, quota=100, once=None)
    if described:  # a piece of one of them, which at least that one has
        whole = data.draw(st.sampled_from(described))
        begin = data.draw(st.integers(0, len(whole)))
        searched = [*searched, whole[begin : data.draw(st.integers(begin, len(whole)))]]
    for text in [*searched, "***=a", "(?i)A", "\\", "%", "_", "zz"]:
        page = await store.page(owner, Query(text=text), unless=None)
        expected = [kept for kept in described if fold(text) in fold(kept) or fold(text) in ("", "z")]
        assert sorted(task.description for task in page.tasks) == sorted(expected), text
