"""Lists: every filter, every sort, every page, and the counter that goes with them."""

import asyncio
from collections import Counter
from datetime import date

import pytest

from todo_domain import BudgetExceeded, ListPosition, Priority, Query, Sort
from todo_domain.query import SHORT_PAGE, SORT_FIELDS, list_position, select

SORTS = [Sort(field, descending) for field in SORT_FIELDS for descending in (False, True)]
EVERY_SORT = pytest.mark.parametrize("sort", SORTS, ids=lambda sort: f"{'-' * sort.descending}{sort.field}")

MAY, APRIL = date(2026, 5, 1), date(2026, 4, 1)

SHELF = [
    {"title": "Zebra", "due_date": MAY, "priority": Priority.HIGH, "position": "a0"},
    {"title": "apple", "position": "Zz"},
    {"title": "\xc9clair", "due_date": MAY, "priority": Priority.LOW},
    {"title": "E\u0301CLAIR", "due_date": APRIL},
    {"title": "Apple", "priority": Priority.HIGH, "position": "a0V"},
    {"title": "straße", "due_date": date.max},
    {"title": "STRASSE", "due_date": date.min, "priority": Priority.MEDIUM},
    {"title": "strasse", "due_date": MAY, "priority": Priority.HIGH},
    {"title": "😀", "priority": Priority.LOW},
    {"title": "\uffff"},
    {"title": "zebra", "due_date": APRIL, "position": "a0"},
    {"title": "zebra", "due_date": APRIL, "position": "0"},
]
"""Titles that fold alike, due dates, priorities and positions that tie or are missing, in no order."""

LIBRARY = [
    {"title": "100 % sure"},
    {"title": "snake_case"},
    {"title": "back\\slash"},
    {"title": "Straße"},
    {"title": "\xc9tude"},
    {"title": "E\u0301TUDE"},
    {"title": "\u0130STANBUL"},
    {"title": "ΣΊΣΥΦΟΣ"},
    {"title": "smile 😀"},
    {"title": "שלום עולם"},
    {"title": "hidden", "description": "Written\nIn Words"},
]

SEARCHES = [
    ("%", ["100 % sure"]),
    ("_", ["snake_case"]),
    ("\\", ["back\\slash"]),
    ("0 % S", ["100 % sure"]),
    ("KE_C", ["snake_case"]),
    ("STRASSE", ["Straße"]),
    ("aẞ", ["Straße"]),
    ("\xe9tude", ["\xc9tude", "E\u0301TUDE"]),
    ("E\u0301tude", ["\xc9tude", "E\u0301TUDE"]),
    ("\u0130stanbul", ["\u0130STANBUL"]),
    ("istanbul", []),
    ("σίσυφος", ["ΣΊΣΥΦΟΣ"]),
    ("😀", ["smile 😀"]),
    ("עולם", ["שלום עולם"]),
    ("written\nin", ["hidden"]),
    ("written in", []),
    ("hiddenwritten", []),
    ("sure back", []),
]

READS = {
    "the whole list": lambda store, owner, _, budget: store.page(owner, Query(), unless=None, budget=budget),
    "a long page": lambda store, owner, _, budget: store.page(owner, Query(limit=110), unless=None, budget=budget),
    "a search": lambda store, owner, _, budget: store.page(owner, Query(text="MILK"), unless=None, budget=budget),
    "the whole state": lambda store, owner, _, budget: store.changes(owner, since=0, limit=1, budget=budget),
    "many changes": lambda store, owner, first, budget: store.changes(owner, since=first, limit=1_000, budget=budget),
}


class Counted:
    """Room for so many bytes."""

    def __init__(self, most: float = float("inf")) -> None:
        self.most = most
        self.size = 0

    def take(self, size: int) -> None:
        if self.size + size > self.most:
            raise BudgetExceeded
        self.size += size

    def empty(self) -> None:
        self.size = 0


BASKET = [
    {"title": "a", "tags": ["Home", "\xc9t\xe9"], "priority": Priority.LOW, "due_date": APRIL},
    {"title": "b", "tags": ["home", "b%"], "priority": Priority.HIGH, "due_date": MAY, "completed": True},
    {"title": "c", "tags": ["homework"], "completed": True},
    {"title": "d", "tags": ["Straße", "a,b", "HOME"], "due_date": date(2026, 4, 30)},
    {"title": "e", "priority": Priority.HIGH, "description": "homely"},
]

FILTERS = [
    ({}, "abcde"),
    ({"completed": True}, "bc"),
    ({"completed": False}, "ade"),
    ({"priorities": (Priority.HIGH,)}, "be"),
    ({"priorities": (Priority.NONE, Priority.LOW)}, "acd"),
    ({"priorities": (Priority.LOW, Priority.LOW)}, "a"),
    ({"tags": ("HOME",)}, "abd"),
    ({"tags": ("home", "e\u0301te\u0301")}, "a"),
    ({"tags": ("strasse",)}, "d"),
    ({"tags": ("home", "Home")}, "abd"),
    ({"tags": ("home", "homework")}, ""),
    ({"tags": ("b%",)}, "b"),
    ({"tags": ("%",)}, ""),
    ({"tags": ("a,b",)}, "d"),
    ({"tags": ("a",)}, ""),
    ({"tags": tuple(f"tag {number}" for number in range(20))}, ""),
    ({"due_after": APRIL}, "abd"),
    ({"due_before": MAY}, "ad"),
    ({"due_after": date(2026, 4, 30), "due_before": MAY}, "d"),
    ({"due_after": MAY, "due_before": APRIL}, ""),
    ({"due_after": date.min, "due_before": date.max}, "abd"),
    ({"has_due_date": True}, "abd"),
    ({"has_due_date": False}, "ce"),
    ({"has_due_date": False, "due_after": APRIL}, ""),
    ({"text": "HOME"}, "e"),
    ({"text": "home", "completed": True}, ""),
    ({"completed": False, "tags": ("home",), "priorities": (Priority.NONE,), "due_before": MAY}, "d"),
]


def titles(page):
    return [task.title for task in page.tasks]


async def fill(tasks, clock, owner):
    """Make the tasks of the shelf, three in each moment, and touch some of them again later."""
    for number, members in enumerate(SHELF):
        clock.advance(microseconds=number % 3 == 0)
        await tasks.create(owner, **members)
    made = (await tasks.list(owner)).tasks
    for task in (made[7], made[2], made[4]):
        await tasks.toggle(owner, task.id)
    return (await tasks.changes(owner)).tasks


class Lists:
    async def test_walking_the_pages_gives_the_list(self, store, tasks, clock, ann, bob):
        kept = await fill(tasks, clock, ann)
        await tasks.create(bob, title="zebra")
        for sort in SORTS:
            whole = await store.page(ann, Query(sort=sort), unless=None)
            assert whole == (select(kept, Query(sort=sort))[0], 15, False), sort
            for limit in (1, 5, 12, 13):
                walked, query = [], Query(sort=sort, limit=limit)
                while (page := await store.page(ann, query, unless=None)).more:
                    assert len(page.tasks) == limit, sort
                    walked += page.tasks
                    assert walked == whole.tasks[: len(walked)], sort
                    query = query._replace(after=list_position(page.tasks[-1], sort))
                assert walked + page.tasks == whole.tasks, sort

    async def test_without_a_sort_the_newest_come_first_and_ties_by_id(self, tasks, clock, ann):
        for title in ("one", "two"):
            await tasks.create(ann, title=title)
        clock.advance(seconds=1)
        await tasks.create(ann, title="three")
        assert titles(await tasks.list(ann)) == ["three", "two", "one"]

    @pytest.mark.parametrize("descending", [False, True])
    async def test_tasks_without_a_due_date_come_last_in_both_directions(self, tasks, ann, descending):
        for day in (None, APRIL, None, MAY):
            await tasks.create(ann, title="due", due_date=day)
        page = await tasks.list(ann, Query(sort=Sort("due_date", descending)))
        days = [task.due_date for task in page.tasks]
        assert days == ([MAY, APRIL, None, None] if descending else [APRIL, MAY, None, None])
        ids = [task.id for task in page.tasks[2:]]
        assert ids == sorted(ids, reverse=descending)

    async def test_titles_sort_folded_and_by_code_point(self, tasks, ann):
        for title in ("b", "a", "B", "A", "\xe9", "e\u0301a", "f", "\uffff", "😀", "Ω", "_", "a b", "ab"):
            await tasks.create(ann, title=title)
        found = titles(await tasks.list(ann, Query(sort=Sort("title", descending=False))))
        assert found == ["_", "a", "A", "a b", "ab", "b", "B", "f", "\xe9", "e\u0301a", "Ω", "\uffff", "😀"]

    @EVERY_SORT
    async def test_a_walk_goes_on_from_a_place_whose_task_is_gone(self, store, tasks, clock, ann, sort):
        await fill(tasks, clock, ann)
        whole = (await store.page(ann, Query(sort=sort), unless=None)).tasks
        for at in (0, 5, 11):
            await tasks.delete(ann, whole[at].id)
            rest = await store.page(ann, Query(sort=sort, after=list_position(whole[at], sort)), unless=None)
            assert rest.tasks == whole[at + 1 :]

    async def test_a_place_between_the_tasks_divides_them(self, store, tasks, ann):
        for day in (APRIL, MAY, None):
            await tasks.create(ann, title="due", due_date=day)
        ascending = Query(sort=Sort("due_date", descending=False))
        for place, count in (
            (ListPosition(date.min, 1), 3),
            (ListPosition(APRIL, 2**53 - 1), 2),
            (ListPosition(date(2026, 4, 2), 1), 2),
            (ListPosition(date.max, 2**53 - 1), 1),
            (ListPosition(None, 1), 1),
            (ListPosition(None, 2**53 - 1), 0),
        ):
            page = await store.page(ann, ascending._replace(after=place), unless=None)
            assert len(page.tasks) == count, place

    async def test_search_looks_for_the_text_itself_ignoring_case(self, tasks, ann):
        for members in LIBRARY:
            await tasks.create(ann, **members)
        for text, found in SEARCHES:
            assert titles(await tasks.list(ann, Query(text=text))) == found[::-1], ascii(text)

    async def test_a_filter_keeps_what_has_all_it_asks_for(self, tasks, ann):
        for members in BASKET:
            await tasks.create(ann, **members)
        for filters, found in FILTERS:
            assert "".join(titles(await tasks.list(ann, Query(**filters)))) == found[::-1], filters
            if found:
                by_id = Query(**filters, sort=Sort("id", descending=False), limit=1)
                page = await tasks.list(ann, by_id)
                assert (titles(page), page.more) == ([found[0]], len(found) > 1), filters
                rest = await tasks.list(ann, by_id._replace(limit=None, after=list_position(page.tasks[0], by_id.sort)))
                assert (titles(rest), rest.more) == (list(found[1:]), False), filters

    async def test_a_list_comes_with_the_counter_of_the_whole_account(self, tasks, ann):
        task = (await tasks.create(ann, title="one")).task
        await tasks.create(ann, title="two")
        await tasks.delete(ann, task.id)
        for query in (Query(), Query(text="nothing"), Query(limit=1), Query(after=ListPosition(task.created_at, 1))):
            assert (await tasks.list(ann, query)).revision == 3

    async def test_a_caller_who_has_the_list_may_be_spared_its_tasks(self, store, tasks, ann):
        task = (await tasks.create(ann, title="one")).task
        known = await store.page(ann, Query(), unless=1)
        assert known.revision == 1
        assert known.tasks in ([], [task])
        for other in (0, 2):
            assert await store.page(ann, Query(), unless=other) == ([task], 1, False)
        await tasks.toggle(ann, task.id)
        assert len((await store.page(ann, Query(), unless=1)).tasks) == 1

    @pytest.mark.parametrize("read", READS, ids=READS)
    async def test_a_long_read_is_counted_as_it_goes_and_ends_where_there_is_no_room(self, store, tasks, ann, read):
        description = "milk \U0001f600 " * 150  # four bytes a character in memory
        for _ in range(SHORT_PAGE + 20):
            await tasks.create(ann, title="x", description=description)
        first = (await store.changes(ann, since=0, limit=1)).tasks[0].revision
        for _ in range(2):
            budget = Counted()
            found = await READS[read](store, ann, first, budget)
            texts = len(description) * 4 * len(found.tasks)
            assert texts < budget.size < 2 * texts
            tight = Counted(budget.size - 1)
            with pytest.raises(BudgetExceeded):
                await READS[read](store, ann, first, tight)

    @EVERY_SORT
    async def test_a_walk_shows_untouched_tasks_once_while_others_come_and_go(self, store, tasks, clock, ann, sort):
        kept = await fill(tasks, clock, ann)
        untouched, edited, deleted = kept[::2], kept[1::4], kept[3::4]
        seen, query, more = [], Query(sort=sort, limit=2), True
        while more:
            newcomer = tasks.create(ann, **SHELF[len(seen) % len(SHELF)])
            moved = tasks.edit(ann, edited[len(seen) % len(edited)].id, title=f"{len(seen)}", due_date=MAY)
            gone = [tasks.delete(ann, deleted.pop().id)] if deleted else []
            page, *_ = await asyncio.gather(store.page(ann, query, unless=None), newcomer, moved, *gone)
            seen += page.tasks
            clock.advance(seconds=1)
            more = page.more and len(seen) < 100
            if more:
                query = query._replace(after=list_position(page.tasks[-1], sort))
        assert Counter(task for task in seen if task in untouched) == Counter(untouched)
