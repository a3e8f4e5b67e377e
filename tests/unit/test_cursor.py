"""Cursors fit the list they were made for and nothing else."""

from base64 import urlsafe_b64encode
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import strategies
from todo_domain import Invalid, ListPosition, Priority, Query, Sort, user_id
from todo_domain import cursor as cursors

ANN = user_id("ann")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

PLACED = strategies.SORTS.flatmap(lambda sort: st.tuples(st.just(Query(sort=sort)), strategies.positions(sort)))


def assert_refused(owner, query, cursor):
    with pytest.raises(Invalid, match=r"^cursor does not belong to this list") as refusal:
        cursors.decode(owner, query, cursor)
    assert refusal.value.field == "cursor"


@given(PLACED)
def test_a_cursor_stands_for_its_place(placed):
    query, place = placed
    cursor = cursors.encode(ANN, query, place)
    back = cursors.decode(ANN, query, cursor)
    assert back == place
    assert type(back.value) is type(place.value)
    assert set(cursor) <= set(LETTERS)


@given(PLACED, st.none() | st.integers(1, 1_000))
def test_a_cursor_serves_pages_of_any_size(placed, limit):
    query, place = placed
    cursor = cursors.encode(ANN, query._replace(limit=7, after=place), place)
    assert cursors.decode(ANN, query._replace(limit=limit, after=None), cursor) == place


@given(PLACED, st.data())
def test_a_cursor_with_any_other_character_is_refused(placed, data):
    query, place = placed
    cursor = cursors.encode(ANN, query, place)
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from([*LETTERS, "=", "+", "/", " ", "\n", "%", "\0", "é", "😀", "\ud800"]))
    if other != cursor[at]:
        assert_refused(ANN, query, cursor[:at] + other + cursor[at + 1 :])


@given(PLACED, st.data())
def test_a_cursor_that_is_cut_or_has_something_added_is_refused(placed, data):
    query, place = placed
    cursor = cursors.encode(ANN, query, place)
    at = data.draw(st.integers(0, len(cursor)))
    extra = data.draw(st.sampled_from(["", "=", "==", "A", " ", "\n", "-", "%"]))
    for damaged in (cursor[:at], cursor[:at] + cursor[at + 1 :], cursor[:at] + extra + cursor[at:]):
        if damaged != cursor:
            assert_refused(ANN, query, damaged)


QUERY = Query(text="a", tags=("b", "c"), priorities=(Priority.LOW, Priority.HIGH), sort=Sort("title", descending=False))

OTHERS = [
    {"completed": True},
    {"completed": False},
    {"text": None},
    {"text": "b"},
    {"text": "a "},
    {"priorities": ()},
    {"priorities": (Priority.LOW,)},
    {"tags": ("b",)},
    {"tags": ("b", "c", "d")},
    {"tags": ("bc",)},
    {"due_after": date(2026, 4, 1)},
    {"due_before": date(2026, 4, 1)},
    {"has_due_date": True},
    {"has_due_date": False},
    {"sort": Sort("title", descending=True)},
    {"sort": Sort("created_at", descending=False)},
]

ALIKE = [
    {"text": "A"},
    {"tags": ("C", "b")},
    {"tags": ("b", "c", "B")},
    {"priorities": (Priority.HIGH, Priority.LOW, Priority.LOW)},
    {"limit": 10},
    {"after": ListPosition("z", 9)},
]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_a_cursor_of_another_list_is_refused(other):
    place = ListPosition("a title", 7)
    for one, another in ((QUERY, QUERY._replace(**other)), (QUERY._replace(**other), QUERY)):
        assert_refused(ANN, another, cursors.encode(ANN, one, place))


@pytest.mark.parametrize("other", ALIKE, ids=str)
def test_a_cursor_of_the_same_list_in_other_words_is_as_good(other):
    place = ListPosition("a title", 7)
    assert cursors.decode(ANN, QUERY._replace(**other), cursors.encode(ANN, QUERY, place)) == place


@pytest.mark.parametrize("bob", ["bob", "Ann", "ann ", 'ann", null', ""])
def test_a_cursor_of_another_user_is_refused(bob):
    assert_refused(user_id(bob) if bob else bob, QUERY, cursors.encode(ANN, QUERY, ListPosition("a title", 7)))


@given(st.text(max_size=80) | st.text(LETTERS, max_size=80))
def test_what_never_was_a_cursor_is_refused(text):
    assert_refused(ANN, Query(), text)


FORGED = [
    ("created_at", b"5"),
    ("created_at", b"{}"),
    ("created_at", b'["2026-03-29T12:00:00+02:00",1]'),
    ("created_at", b"[5,1]"),
    ("created_at", b"[null,1]"),
    ("created_at", b'["2026-03-29T12:00:00",1]'),
    ("created_at", b'[{"a":1},1]'),
    ("due_date", b'["2026-03-29",null]'),
    ("due_date", b'["2026-03-29T12:00:00+00:00",1]'),
    ("due_date", b"[" * 2_000),
    ("id", b'[1,"x"]'),
    ("id", b"[1,1.5]"),
    ("id", b"[1,true]"),
    ("id", b"[1,1000000000000000000000000000000]"),
    ("id", b"[NaN,1]"),
    ("priority", b"[9223372036854775808,1]"),
    ("priority", b"[4,1]"),
    ("priority", b"[true,1]"),
    ("position", b"[5,1]"),
    ("position", b'["a-",1]'),
    ("position", b'["",1]'),
    ("title", b"[5,1]"),
    ("title", b'["a",0]'),
    ("title", b'["\\ud800",1]'),
    ("title", b'["\\u0000",1]'),
]


@pytest.mark.parametrize(("field", "payload"), FORGED, ids=lambda part: str(part)[:40])
def test_a_forged_cursor_that_is_no_place_in_this_order_is_refused(field, payload):
    query = Query(sort=Sort(field))
    forged = urlsafe_b64encode(cursors._digest(ANN, query, payload) + payload).decode().rstrip("=")
    assert_refused(ANN, query, forged)
