"""The calendar feed: what the token of it opens, and who learns nothing."""

from datetime import date

import pytest

from store_contract.races import at_once
from todo_domain import NotFound, Put, user_id
from todo_domain.feed import FeedToken, new_feed_token

DUE = date(2026, 12, 1)
UID = "0199c3a8-5d1e-7c4f-9b0a-3f7d2c11e8aa"


async def titles(tasks, owner, token):
    return [task.title for task in (await tasks.feed(owner, token)).tasks]


class Feeds:
    async def test_a_feed_has_the_open_tasks_with_a_due_date_the_earliest_first(self, tasks, ann, bob):
        await tasks.create(ann, title="some day")
        for title, day in (("second", 2), ("third", 3), ("first", 1), ("also second", 2)):
            await tasks.create(ann, title=title, due_date=date(2026, 12, day))
        done = (await tasks.create(ann, title="done", due_date=DUE)).task
        await tasks.toggle(ann, done.id)
        deleted = (await tasks.create(ann, title="deleted", due_date=DUE)).task
        await tasks.delete(ann, deleted.id)
        await tasks.create(bob, title="of bob", due_date=DUE)
        token = await tasks.make_feed(ann)
        assert await titles(tasks, ann, token) == ["first", "second", "also second", "third"]
        page = await tasks.feed(ann, token)
        assert (page.revision, page.more) == ((await tasks.list(ann)).revision, False)
        await tasks.toggle(ann, done.id)
        assert await titles(tasks, ann, token) == ["first", "done", "second", "also second", "third"]

    async def test_a_feed_task_is_the_task_whole(self, tasks, ann):
        members = {"title": "x", "description": "y", "due_date": DUE, "tags": ["a", "b"], "position": "a0"}
        task = (await tasks.put(ann, UID, Put(members | {"extra": {"a": [1]}}))).task
        assert (await tasks.feed(ann, await tasks.make_feed(ann))).tasks == [task]

    async def test_a_page_of_a_feed_says_whether_more_is_there(self, store, tasks, ann):
        made = [(await tasks.create(ann, title=f"{number}", due_date=DUE)).task for number in range(3)]
        digest = (await tasks.make_feed(ann)).digest
        for limit in (1, 2, 3, 4, None):
            page = await store.feed(ann, digest, unless=None, limit=limit)
            assert page == (made[:limit], 3, limit is not None and limit < 3)

    async def test_a_known_counter_may_leave_the_tasks_out_and_a_wrong_token_with_it_is_still_refused(self, tasks, ann):
        task = (await tasks.create(ann, title="x", due_date=DUE)).task
        token = await tasks.make_feed(ann)
        assert (await tasks.feed(ann, token, unless=task.revision)).revision == task.revision
        assert (await tasks.feed(ann, token, unless=task.revision - 1)).tasks == [task]
        with pytest.raises(NotFound):
            await tasks.feed(ann, new_feed_token(ann), unless=task.revision)

    async def test_a_new_feed_ends_the_one_before_and_ending_it_ends_it(self, place, tasks, ann):
        first = await tasks.make_feed(ann)
        second = await tasks.make_feed(ann)
        assert place.count("feeds", ann) == 1
        with pytest.raises(NotFound):
            await tasks.feed(ann, first)
        await tasks.feed(ann, second)
        assert await tasks.end_feed(ann)
        assert not await tasks.end_feed(ann)
        with pytest.raises(NotFound):
            await tasks.feed(ann, second)
        assert place.count("feeds", ann) == 0

    async def test_a_token_opens_no_feed_of_another_user(self, tasks, ann, bob):
        await tasks.create(bob, title="of bob", due_date=DUE)
        his, hers = await tasks.make_feed(bob), await tasks.make_feed(ann)
        for owner, token in ((ann, his), (bob, hers), (bob, FeedToken(bob, hers.secret)), (user_id("nobody"), his)):
            with pytest.raises(NotFound):
                await tasks.feed(owner, token)
        assert not await tasks.end_feed(user_id("nobody"))
        assert await titles(tasks, bob, his) == ["of bob"]

    async def test_a_feed_moves_no_counter_and_a_user_who_never_wrote_may_have_one(self, place, tasks, ann):
        token = await tasks.make_feed(ann)
        assert await tasks.feed(ann, token) == ([], 0, False)
        assert await tasks.counter(ann) == 0
        await tasks.erase(ann)
        assert place.count("feeds", ann) == 0
        assert await tasks.counter(ann) == 0
        with pytest.raises(NotFound):
            await tasks.feed(ann, token)

    async def test_of_feeds_made_at_once_one_is_left(self, place, tasks, ann):
        tokens = await at_once(*(tasks.make_feed(ann) for _ in range(8)))
        opened = 0
        for token in tokens:
            try:
                await tasks.feed(ann, token)
            except NotFound:
                continue
            opened += 1
        assert (opened, place.count("feeds", ann)) == (1, 1)

    async def test_what_is_kept_of_a_token_is_not_the_token(self, tasks, store, ann):
        token = await tasks.make_feed(ann)
        for guess in (token.secret, token.text.encode(), token.secret + ann.encode()):
            with pytest.raises(NotFound):
                await store.feed(ann, guess, unless=None)
        await store.feed(ann, token.digest, unless=None)
