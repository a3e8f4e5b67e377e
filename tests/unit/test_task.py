"""What may be said about a task, and how it is created, edited, completed and reopened."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import strategies
from todo_domain import ExtraPatch, Invalid, Priority, Stale, user_id
from todo_domain.task import check, check_new, new_task

ANN = user_id("ann")
NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
EARLIER = NOW - timedelta(days=365)

EDITS = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["title", "another"]),
        "description": st.sampled_from([None, "", "words"]),
        "completed": st.booleans(),
        "priority": st.sampled_from(Priority),
        "due_date": st.sampled_from([None, date(2026, 4, 1)]),
        "tags": st.sampled_from([(), ("a", "b"), ("b", "a")]),
        "position": st.sampled_from([None, "a0", "A0"]),
        "extra": st.sampled_from(["{}", '{"a":1}', '{"a":1.0}', '{"a":true}']),
    },
)


def made(now=NOW, **members):
    return new_task(check_new({"title": "title", **members}), id=7, owner=ANN, revision=3, now=now)


def test_a_new_task_is_open_and_plain():
    assert made() == (7, None, ANN, "title", None, None, Priority.NONE, None, (), None, "{}", 3, NOW, NOW)
    assert (made().status, made().completed) == ("incomplete", False)


def test_a_new_task_keeps_what_is_said_about_it():
    members = {"description": "", "priority": Priority.LOW, "due_date": date(2026, 4, 1), "tags": [" b ", "A"]}
    task = made(**members)
    assert task[3:9] == ("title", "", None, Priority.LOW, date(2026, 4, 1), ("b", "A"))


@pytest.mark.parametrize(
    "members", [{"completed": True}, {"status": "complete"}, {"completed": True, "status": "complete"}]
)
def test_a_new_task_may_be_complete_from_the_start(members):
    task = made(**members)
    assert (task.status, task.completed, task.completed_at) == ("complete", True, NOW)


class Text(str):
    """A string with a class of its own."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("title", value) for value in (None, 5, True, b"title", ["title"], Text("title"))),
        *(("description", value) for value in (5, b"", ["x"], Text("x"))),
        *(("status", value) for value in (None, "done", True, "Complete", Text("complete"), ["complete"])),
        *(("completed", value) for value in (None, 0, 1, "true", 1.0)),
        *(("priority", value) for value in (None, 2, "high", True, 2.0)),
        *(("due_date", value) for value in ("2026-04-01", NOW, 20260401, True)),
        *(
            ("tags", value)
            for value in (None, "home", b"home", {"home"}, iter(["home"]), [5], [None], [b"x"], [Text("x")])
        ),
        *(("position", value) for value in (5, True, b"a0", Text("a0"))),
        *(("extra", value) for value in (None, 5, True, [], b"{}", "[]", "{", "x", ExtraPatch({5: 1}))),
        *(("extra", {"a": value}) for value in (b"x", (1,), {1}, {1: 2}, NOW, Text("x"), Decimal(1))),
        *(("revision", value) for value in (None, True, 3.0, "3", Priority.HIGH)),
        ("prioriy", 3),
        ("titel", "x"),
        ("id", 7),
        ("user_id", "ann"),
        ("completed_at", NOW),
        ("created_at", NOW),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],  # the same in every worker of a run
)
def test_an_unknown_member_and_a_value_of_another_type_are_refused_and_named(name, value):
    with pytest.raises(Invalid) as refused:
        check({name: value})
    assert refused.value.field == name
    with pytest.raises(Invalid) as refused:
        check_new({"title": "title", name: value})
    assert refused.value.field == name


def test_a_new_task_needs_a_title():
    with pytest.raises(Invalid, match=r"^title is required$"):
        check_new({"description": "all there is"})


def test_a_new_task_has_no_revision_yet():
    with pytest.raises(Invalid, match=r"^revision "):
        check_new({"title": "title", "revision": 1})


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 256}, "title"),
        ({"title": "a\0"}, "title"),
        ({"description": "x" * 5_001}, "description"),
        ({"description": "\ud800"}, "description"),
        ({"tags": ["a", " "]}, "tags"),
        ({"tags": ["x" * 51]}, "tags"),
        ({"tags": [str(number) for number in range(21)]}, "tags"),
        ({"tags": ["Straße", "STRASSE"]}, "tags"),
        ({"tags": ["\xe9", "E\u0301"]}, "tags"),
        ({"tags": ["a", " a"]}, "tags"),
        *(({"position": value}, "position") for value in ("", "a" * 65, "a-", "a b", "é", "٣", "a0\n")),
        *(({"extra": {"a": value}}, "extra") for value in (2**53 + 1, -(2**53) - 1, inf, nan, "\0", "\ud800", "\x7f")),
        ({"extra": {"a\1": None}}, "extra"),
        ({"extra": {"a": [[[[[]]]]]}}, "extra"),
        ({"extra": {"a": {"b": {"c": {"d": {"e": {}}}}}}}, "extra"),
        ({"extra": ExtraPatch({"a": {"b": {"c": {"d": {"e": {}}}}}})}, "extra"),
        ({"extra": {"a": "x" * 4_089}}, "extra"),
        ({"extra": {"a": "é" * 2_045}}, "extra"),
        ({"completed": True, "status": "incomplete"}, "completed"),
        ({"completed": False, "status": "complete"}, "completed"),
    ],
    ids=ascii,
)
def test_a_member_that_breaks_its_rule_is_refused_by_name(members, field):
    for checked in (lambda: check(members), lambda: check_new({"title": "title", **members})):
        with pytest.raises(Invalid) as refusal:
            checked()
        assert refusal.value.field == field


def test_members_at_their_limits_are_kept():
    members = {"title": "x" * 255, "description": "x" * 5_000, "tags": [f"{number:050}" for number in range(20)]}
    assert check(members) == members | {"tags": tuple(members["tags"])}
    members = {"position": "0Az" * 21 + "a", "extra": {"a": "é" * 2_044, "deep": {"er": {"and": {"er": {}}}}}}
    members["extra"]["a"] = "x" * (4_096 - len('{"a":"","deep":{"er":{"and":{"er":{}}}}}'))
    assert check(members)["position"] == members["position"]
    assert len(check(members)["extra"]) == 4_096


@given(strategies.FITTING_EXTRAS)
def test_an_object_of_the_clients_own_is_kept_equal_and_of_its_kinds(extra):
    kept = made(extra=extra).extra
    assert repr(sorted_names(json.loads(kept))) == repr(sorted_names(extra))
    assert made(extra=kept).extra == kept
    assert " " not in kept or " " in "".join(words_of(extra))


@given(strategies.FITTING_EXTRAS, strategies.FITTING_EXTRAS)
def test_a_merge_patch_does_what_rfc_7396_says(target, patch):
    task = made(extra=target)
    merged = task.edited(check({"extra": ExtraPatch(patch)}), LATER)
    expected = made(extra=merge_patch(target, patch))
    assert merged.extra == expected.extra
    assert (merged is task) == (merged.extra == task.extra)
    again = merged.edited(check({"extra": ExtraPatch(patch)}), LATER)
    assert again is merged


def merge_patch(target, patch):
    """The procedure of RFC 7396, section 2, word for word."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        target = dict(target)
        for name, value in patch.items():
            if value is None:
                if name in target:
                    del target[name]
            else:
                target[name] = merge_patch(target.get(name), value)
        return target
    return patch


def sorted_names(value):
    """The value with the names of each object in order, so that its repr says what it is and of which kind."""
    if isinstance(value, dict):
        return {name: sorted_names(value[name]) for name in sorted(value)}
    return [sorted_names(part) for part in value] if isinstance(value, list) else value


def words_of(value):
    """Every text in it."""
    if isinstance(value, dict):
        return [word for name, part in value.items() for word in (name, *words_of(part))]
    return [word for part in value for word in words_of(part)] if isinstance(value, list) else [str(value)]


def test_checking_leaves_the_callers_members_alone():
    members = {"title": " a ", "tags": [" b "]}
    assert check(members) == {"title": "a", "tags": ("b",)}
    assert members == {"title": " a ", "tags": [" b "]}


@given(EDITS, EDITS)
def test_an_edit_changes_the_members_given_and_no_others(before, members):
    task = made(**before)
    edited = task.edited(check(members), LATER)
    for name in ("title", "description", "priority", "due_date", "tags", "position", "extra", "completed"):
        assert getattr(edited, name) == members.get(name, getattr(task, name))
    assert (edited.id, edited.user_id, edited.revision, edited.created_at) == (7, ANN, 3, NOW)
    assert (edited is task) == (edited == task) == all(getattr(task, name) == value for name, value in members.items())
    assert edited.updated_at == (NOW if edited is task else LATER)
    assert edited.edited(check(members), LATER + timedelta(days=1)) is edited


@given(EDITS)
def test_updated_at_never_goes_back(members):
    assert made().edited(members, EARLIER).updated_at == NOW
    assert made().toggled(EARLIER).updated_at == NOW


def test_a_toggle_completes_and_reopens():
    done = made().toggled(LATER)
    assert done == made()._replace(completed_at=LATER, updated_at=LATER)
    assert done.toggled(LATER + timedelta(seconds=1)) == made()._replace(updated_at=LATER + timedelta(seconds=1))


def test_completing_again_keeps_the_time_of_the_first():
    done = made().edited({"completed": True}, LATER)
    assert done.edited({"completed": True}, LATER + timedelta(days=1)) is done
    renamed = done.edited({"status": "complete", "title": "renamed"}, LATER + timedelta(days=1))
    assert (renamed.completed_at, renamed.title) == (LATER, "renamed")


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("changed", ["status", "completed"])
def test_of_two_contradicting_twins_the_one_that_differs_is_the_change(complete, changed):
    task = made(completed=complete)
    put_back = {"status": task.status, "completed": task.completed, "revision": task.revision}
    put_back[changed] = (
        "incomplete" if changed == "status" and complete else "complete" if changed == "status" else not complete
    )
    edited = task.edited(check(put_back), LATER)
    assert edited.completed is not complete
    assert edited.updated_at == LATER


@pytest.mark.parametrize("revision", [0, 2, 4, -1, 10**40])
@pytest.mark.parametrize(
    "members",
    [
        {"title": "another"},
        {"title": "title", "priority": Priority.LOW},
        {"completed": True},
        {"status": "complete", "completed": True},
        {"status": "complete", "completed": False},
        {"status": "incomplete", "completed": True},
    ],
    ids=str,
)
def test_what_was_made_from_another_revision_is_stale_if_it_would_change_anything(members, revision):
    task = made()
    with pytest.raises(Stale) as stale:
        task.edited(check({**members, "revision": revision}), LATER)
    assert stale.value.current is task


@given(EDITS, st.integers(0, 6))
def test_an_edit_of_any_revision_that_changes_nothing_is_never_stale(members, revision):
    edited = made().edited(check(members), LATER)
    assert edited.edited(check({**members, "revision": revision}), LATER) is edited


def test_a_revision_alone_changes_nothing():
    assert made().edited(check({"revision": 1}), LATER).revision == 3
    assert made().edited(check({"revision": 1}), LATER) == made()
