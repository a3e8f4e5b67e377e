"""An edit leaves what `Task.edited` says, whichever way the store does it."""

from contextlib import suppress
from datetime import date, timedelta
from random import Random

import pytest

from store_contract.words import NASTY
from support.length import LONG
from todo_domain import ExtraPatch, NotFound, Once, Priority, Query, Repeated, Sort, Stale
from todo_domain.editing import Edit
from todo_domain.query import select
from todo_domain.task import check

EDITS = 2_000 if LONG else 250
NAMES = ["a-name-of-its-own", "another-of-its-own"]
TITLES = ["a", "A", "\xe9", "E\u0301", "ß ẞ", "%_\\", "'; --"]
VALUES = {
    "title": TITLES,
    "description": [None, "", *TITLES],
    "priority": list(Priority),
    "due_date": [None, date(2026, 3, 29), date.min, date.max],
    "tags": [(), ("home",), ("home", "\xe9"), ("\xe9", "home"), ("Home,",), ('"', "\\", "{}", "null")],
    "position": [None, "a0", "Zz", "z"],
    "extra": [{}, {"a": 1}, {"a": 1.0}, {"a": True}, '{"a":1,"b":null}', ExtraPatch({"a": None}), ExtraPatch({"b": 2})],
}


def members_of(dice, task):
    """Return some members: none, one, several or all of them; twins alike or not; a revision that is right or not."""
    names = dice.sample(sorted(VALUES), dice.choice([0, 1, 1, 2, 3, len(VALUES)]))
    members = {name: dice.choice(VALUES[name]) for name in names}
    if dice.random() < 0.3:
        members["revision"] = dice.choice([task.revision, task.revision, task.revision - 1, 2**70])
    if dice.random() < 0.4:
        members["completed"] = dice.random() < 0.5
    if dice.random() < 0.2:
        word = {True: "complete", False: "incomplete"}
        contradicting = "revision" in members and dice.random() < 0.5
        completed = members.get("completed", dice.random() < 0.5)
        members["status"] = word[completed != contradicting]
    return members


class Editing:
    async def test_an_edit_leaves_what_the_domain_says_and_a_row_that_is_found_by_it(self, store, tasks, clock, ann):
        dice = Random(18)
        made = [(await tasks.create(ann, title="a")).task, (await tasks.create(ann, title="b")).task]
        named = {"quota": 9, "once": None, "now": clock()}
        made += [(await store.create(ann, {"title": uid}, uid=uid, **named)).task for uid in NAMES]
        standing = {task.id: task for task in made}
        counter, keys, outcomes = 4, [], {"changed": 0, "unchanged": 0, "stale": 0, "repeated": 0}
        for number in range(EDITS):
            clock.now += timedelta(microseconds=dice.choice([0, 1, 10**9, -(10**6)]))
            task = dice.choice(list(standing.values()))
            key = task.uid if task.uid is not None and dice.random() < 0.7 else task.id
            members = members_of(dice, task)
            if_match = dice.choice([None, None, {task.revision}, [task.revision, 0], {task.revision - 1}, {2**70}, ()])
            once = dice.choice([None, None, Once(f"{number}", b"x"), *keys[-1:]])
            repeated = once in keys
            how = {"if_match": if_match, "once": once, **members}
            expected = None
            with suppress(Stale):
                expected = Edit(check(members), if_match).applied_to(task, clock())
            if repeated:
                with pytest.raises(Repeated) as raised:
                    await tasks.edit(ann, key, **how)
                assert raised.value.task == task
                outcomes["repeated"] += 1
            elif expected is None:
                with pytest.raises(Stale) as raised:
                    await tasks.edit(ann, key, **how)
                assert raised.value.current == task
                outcomes["stale"] += 1
            elif expected is task:
                assert await tasks.edit(ann, key, **how) == task
                outcomes["unchanged"] += 1
            else:
                counter += 1
                standing[task.id] = expected._replace(revision=counter)
                assert await tasks.edit(ann, key, **how) == standing[task.id]
                keys += [once] if once else []
                outcomes["changed"] += 1
            assert await store.get(ann, task.id) == standing[task.id]
            if number % 10 == 0:
                query = Query(text=dice.choice(TITLES), tags=dice.choice([(), ("HOME",)]), sort=Sort("title"))
                found, _ = select(list(standing.values()), query)
                assert await store.page(ann, query, unless=None) == (found, counter, False)
        assert min(outcomes.values()) > EDITS // 20, outcomes

    async def test_a_title_that_is_edited_is_searched_by_its_letters(self, tasks, ann):
        task = (await tasks.create(ann, title="x", description="y")).task
        for word in NASTY:
            title = check({"title": f"{word}x"})["title"]
            assert (await tasks.edit(ann, task.id, title=title)).title == title, ascii(word)
            assert [found.id for found in (await tasks.list(ann, Query(text=title))).tasks] == [task.id], ascii(word)

    async def test_an_edit_of_what_is_not_there_is_not_found_whatever_it_gives(self, tasks, ann, bob):
        hers = (await tasks.create(ann, title="x")).task
        for members in ({}, {"title": "y"}, {"title": "y", "revision": 1}):
            for key in (hers.id, hers.id + 1_000_000, "no-such-name-at-all"):
                with pytest.raises(NotFound):
                    await tasks.edit(bob, key, **members)
        assert await tasks.get(ann, hers.id) == hers
