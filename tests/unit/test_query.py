"""The reference for lists: what a filter keeps, in which order, and where a page ends."""

from collections import Counter
from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import strategies
from todo_domain import Priority, Query, Sort
from todo_domain.query import SORT_FIELDS, in_order, list_position, matches, select, sort_value
from todo_domain.task import Task, new_task

SORTED = Sort("due_date", descending=False)
"""An order in which some tasks have no value."""


def test_the_default_query_is_the_whole_list_newest_first():
    query = Query()
    assert query.sort == ("created_at", True)
    assert query[:7] == (None, None, (), (), None, None, None)
    assert (query.limit, query.after) == (None, None)
    assert not query.filtered


@pytest.mark.parametrize(
    "filters",
    [
        {"completed": False},
        {"text": "a"},
        {"priorities": (Priority.NONE,)},
        {"tags": ("a",)},
        {"due_after": date.min},
        {"due_before": date.max},
        {"has_due_date": False},
    ],
    ids=str,
)
def test_a_query_that_may_leave_out_tasks_is_filtered(filters):
    assert Query(**filters).filtered


@given(strategies.TASKS)
def test_the_place_in_the_list_filters_nothing(tasks):
    assert not Query(sort=SORTED, limit=1, after=list_position(tasks[0], SORTED) if tasks else None).filtered


@given(strategies.TASKS, strategies.queries(limits=st.none()))
def test_a_list_holds_what_matches_behind_the_place_in_order(tasks, query):
    found, more = select(tasks, query)
    assert not more
    assert all(matches(task, query) for task in found)
    assert found == in_order(found, query.sort)
    left_out = [task for task in tasks if task not in found and matches(task, query)]
    before = in_order([*found, *left_out], query.sort)
    assert before[len(left_out) :] == found
    if query.after is None:
        assert not left_out


@given(strategies.TASKS, strategies.queries(limits=st.integers(1, 6)))
def test_a_page_is_the_beginning_of_the_list_and_tells_whether_there_is_more(tasks, query):
    whole, _ = select(tasks, query._replace(limit=None))
    assert select(tasks, query) == (whole[: query.limit], len(whole) > query.limit)


@given(strategies.TASKS, strategies.queries(limits=st.integers(1, 4)))
def test_walking_the_pages_covers_the_list_exactly_once(tasks, query):
    whole, _ = select(tasks, query._replace(limit=None))
    walked, more = [], True
    while more:
        page, more = select(tasks, query)
        walked += page
        assert walked == whole[: len(walked)]
        if more:
            query = query._replace(after=list_position(page[-1], query.sort))
    assert walked == whole


@given(strategies.TASKS, strategies.SORTS)
def test_an_order_loses_nothing_and_puts_tasks_without_a_value_last(tasks, sort):
    found = in_order(tasks, sort)
    assert Counter(found) == Counter(tasks)
    valued = [sort_value(task, sort.field) is not None for task in found]
    assert valued == sorted(valued, reverse=True)
    for one, next_one in pairwise(found):
        here, there = sort_value(one, sort.field), sort_value(next_one, sort.field)
        if here is not None and there is not None and here != there:
            assert (here > there) == sort.descending
        elif here == there:
            assert (one.id > next_one.id) == sort.descending


@given(strategies.TASKS, st.sampled_from(SORT_FIELDS))
def test_the_two_directions_mirror_each_other_but_for_the_missing(tasks, field):
    up = in_order((task for task in tasks if sort_value(task, field) is not None), Sort(field, descending=False))
    down = in_order((task for task in tasks if sort_value(task, field) is not None), Sort(field, descending=True))
    assert up == down[::-1]


@given(strategies.TASKS, strategies.queries(limits=st.none()))
def test_filters_combine_with_and(tasks, query):
    query = query._replace(after=None)
    alone = [Query()._replace(**{name: getattr(query, name)}) for name in Query._fields[:7]]
    for task in tasks:
        assert matches(task, query) == all(matches(task, single) for single in alone)


def task(**members) -> Task:
    return new_task({"title": "title", **members}, id=1, owner="ann", revision=1, now=strategies.NOW)


@pytest.mark.parametrize(
    ("filters", "members", "kept"),
    [
        ({"completed": True}, {}, False),
        ({"completed": False}, {}, True),
        ({"text": "%"}, {}, False),
        ({"text": "STRASSE"}, {"title": "die Straße"}, True),
        ({"text": "\xe9"}, {"description": "E\u0301"}, True),
        ({"text": "title"}, {"title": "t", "description": "itle"}, False),
        ({"priorities": (Priority.LOW, Priority.HIGH)}, {"priority": Priority.HIGH}, True),
        ({"priorities": (Priority.LOW,)}, {}, False),
        ({"tags": ("A", "b")}, {"tags": ("B", "a", "c")}, True),
        ({"tags": ("a", "b")}, {"tags": ("a",)}, False),
        ({"tags": ("a",)}, {"tags": ("ab",)}, False),
        ({"due_after": date(2026, 4, 1)}, {"due_date": date(2026, 4, 1)}, True),
        ({"due_before": date(2026, 4, 1)}, {"due_date": date(2026, 4, 1)}, False),
        ({"due_after": date.min}, {}, False),
        ({"due_before": date.max}, {}, False),
        ({"has_due_date": True}, {}, False),
        ({"has_due_date": False}, {}, True),
    ],
    ids=ascii,
)
def test_a_filter_keeps_what_it_says(filters, members, kept):
    assert matches(task(**members), Query(**filters)) is kept


def test_titles_are_sorted_folded_and_by_code_point():
    titles = ["b", "a", "B", "\xc9", "f", "\uffff", "😀", "_"]
    found = in_order(
        [task(title=title)._replace(id=n) for n, title in enumerate(titles)], Sort("title", descending=False)
    )
    assert [kept.title for kept in found] == ["_", "a", "b", "B", "f", "\xc9", "\uffff", "😀"]
