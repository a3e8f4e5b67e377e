"""Tasks and queries for Hypothesis: few values of each kind, so that they tie, match and miss."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from hypothesis import strategies as st

from todo_domain import ListPosition, Members, Priority, Query, Sort, Task, user_id
from todo_domain.extra import DEEPEST_EXTRA
from todo_domain.query import SORT_FIELDS
from todo_domain.task import check_new, new_task

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

MOMENTS = st.sampled_from([NOW, NOW + MICROSECOND, NOW + timedelta(hours=14), NOW - timedelta(days=3_000)])
DAYS = st.sampled_from([date.min, date(2026, 3, 29), date(2026, 3, 30), date(2026, 12, 31), date.max])
PRIORITIES = st.sampled_from(Priority)

PIECES = [
    "a",
    "A",
    "B",
    "_",
    "%",
    "\\",
    "'",
    '"',
    ",",
    "{",
    "\xe9",
    "e\u0301",
    "E\u0301",
    "\xc9",
    "ß",
    "ẞ",
    "ss",
    "\u0130",
]
PIECES += [
    "i\u0307",
    "\u0131",
    "Σ",
    "ς",
    "ﬃ",
    "😀",
    "👩\u200d👧",
    "\uffff",
    "\ue000",
    "\U00010000",
    "ש",
    "\u202e",
    "\u0345",
    "x y",
]
WORDS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join)
TITLES = WORDS.map(lambda words: f"a{words}") | WORDS.filter(lambda words: words.strip("\u202e\u0345\u0307\u0301"))
TAGS = st.lists(
    st.sampled_from(["home", "Home,", "\xe9", "ß", "a b", "%", "_", '"', "\\", "😀", "{}", "null"]), max_size=3
)

POSITIONS = st.none() | st.text("0Az", min_size=1, max_size=3)

NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
EXTRAS = st.dictionaries(
    WORDS,
    st.recursive(
        st.none() | st.booleans() | NUMBERS | WORDS | st.just(""),
        lambda inside: st.lists(inside, max_size=2) | st.dictionaries(WORDS, inside, max_size=2),
        max_leaves=3,
    ),
    max_size=2,
)
"""Objects of a client's own; few are nested deeper than they may be, and `FITTING_EXTRAS` none."""

FITTING_EXTRAS = EXTRAS.filter(lambda extra: _depth(extra) <= DEEPEST_EXTRA)


def _depth(value: object) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(_depth, inside), default=0)


MEMBERS = st.fixed_dictionaries(
    {"title": TITLES},
    optional={
        "description": st.none() | st.just("") | WORDS,
        "completed": st.booleans(),
        "priority": PRIORITIES,
        "due_date": st.none() | DAYS,
        "tags": TAGS.map(lambda tags: tuple(dict.fromkeys(tags))),
        "position": POSITIONS,
        "extra": FITTING_EXTRAS,
    },
).map(lambda members: check_new(cast(Members, members)))

SORTS = st.builds(Sort, st.sampled_from(SORT_FIELDS), st.booleans())

_VALUES: dict[str, st.SearchStrategy[datetime | date | int | str | None]] = {
    "created_at": MOMENTS,
    "updated_at": MOMENTS,
    "due_date": st.none() | DAYS,
    "priority": PRIORITIES.map(int),
    "title": WORDS,
    "position": POSITIONS,
}


def positions(sort: Sort) -> st.SearchStrategy[ListPosition]:
    """Return places in this order, whether or not a task is there."""
    if sort.field == "id":
        return st.integers(1, 12).map(lambda task_id: ListPosition(task_id, task_id))
    return st.builds(ListPosition, _VALUES[sort.field], st.integers(1, 12))


_FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "completed": st.booleans(),
    "text": WORDS | st.sampled_from(PIECES),
    "priorities": st.lists(PRIORITIES, min_size=1, max_size=3).map(tuple),
    "tags": TAGS.map(tuple),
    "due_after": DAYS,
    "due_before": DAYS,
    "has_due_date": st.booleans(),
}


@st.composite
def queries(draw: st.DrawFn, limits: st.SearchStrategy[int | None]) -> Query:
    """Draw a query with at most two filters, for more would leave nothing to look at."""
    sort = draw(SORTS)
    filters = {name: draw(_FILTERS[name]) for name in draw(st.sets(st.sampled_from(sorted(_FILTERS)), max_size=2))}
    return Query(**filters, sort=sort, limit=draw(limits), after=draw(st.none() | positions(sort)))


def _pool() -> list[Task]:
    titles = [f"a{piece}" for piece in PIECES] + PIECES[:20]
    described = [None, "", "x y", "E\u0301%", "\U0001f600_"]
    times = [NOW, NOW + MICROSECOND, NOW + timedelta(hours=14)]
    days = [None, date.min, date(2026, 3, 29), None, date(2026, 3, 30), date.max, date(2026, 3, 29)]
    tagged = [(), ("home",), ("Home,", "\xe9"), ("%", "ß", "a b"), (), ("home", "_"), ("\U0001f600",), ("null",)]
    pool = []
    for number, title in enumerate(titles):
        members: Members = {
            "title": title,
            "description": described[number % 5],
            "completed": number % 3 == 0,
            "priority": Priority(number % 4),
            "due_date": days[number % 7],
            "tags": tagged[number % 8],
            "position": [None, "a0", "Zz", "a0V", None, "a"][number % 6],
        }
        at = times[number // 2 % 3]
        task = new_task(members, id=number * 7 % len(titles) + 1, owner=user_id("ann"), revision=number + 1, now=at)
        pool.append(task._replace(updated_at=times[max(number % 3, times.index(at))]))
    return pool


TASKS = st.lists(st.sampled_from(_pool()), unique_by=lambda task: task.id, max_size=12)
"""One user's tasks, in no order. (Drawing each member by itself takes too long for a unit test.)"""
