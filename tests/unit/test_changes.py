"""Pages of changes, and when they can no longer be told."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from todo_domain import Resync, Tombstone, user_id
from todo_domain.changes import page_of_changes, require_known
from todo_domain.retention import PURGE_EVERY, purge_is_due
from todo_domain.task import new_task

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)


def task(revision):
    return new_task({"title": "title"}, id=revision, owner=user_id("ann"), revision=revision, now=NOW)


@pytest.mark.parametrize(
    ("since", "revision", "horizon"), [(0, 0, 0), (0, 9, 9), (1, 1, 0), (5, 9, 5), (9, 9, 9), (6, 9, 5)]
)
def test_what_changed_between_the_horizon_and_the_counter_is_known(since, revision, horizon):
    require_known(since, revision=revision, horizon=horizon)


@pytest.mark.parametrize(("since", "revision", "horizon"), [(1, 0, 0), (10, 9, 0), (4, 9, 5), (1, 9, 9)])
def test_what_changed_before_the_horizon_or_beyond_the_counter_is_not(since, revision, horizon):
    with pytest.raises(Resync):
        require_known(since, revision=revision, horizon=horizon)


@given(
    st.lists(st.sampled_from(["task", "tombstone", "overtaken"]), max_size=20), st.integers(1, 8), st.integers(1, 20)
)
def test_pages_hold_each_change_once_in_order_and_end_at_the_counter(kinds, limit, extra):
    tasks = [task(number) for number, kind in enumerate(kinds, 1) if kind == "task"]
    deleted = [
        Tombstone(100 + number, None, number, NOW) for number, kind in enumerate(kinds, 1) if kind == "tombstone"
    ]

    since, seen, more = 0, [], True
    while more:
        left = [[item for item in items if item.revision > since][: limit + extra] for items in (tasks, deleted)]
        page = page_of_changes(*left, counter=len(kinds), limit=limit)
        found = sorted([*page.tasks, *page.deleted], key=lambda item: item.revision)
        assert len(found) <= limit
        assert page.revision == (found[-1].revision if page.has_more else len(kinds))
        seen += found
        assert page.revision > since or not page.has_more
        since, more = page.revision, page.has_more
    assert seen == sorted([*tasks, *deleted], key=lambda item: item.revision)


@given(st.integers(1, 10**16), st.integers(1, 200))
def test_a_purge_is_due_when_a_multiple_of_64_is_reached_or_crossed(revision, writes):
    crossed = any(number % PURGE_EVERY == 0 for number in range(revision - writes + 1, revision + 1))
    assert purge_is_due(revision, writes) == crossed
