"""Idempotency keys: a create repeated with the same key and body is one task and one response."""

from datetime import timedelta

import pytest

from todo_domain import KeyReused, NotFound, Once, Query, QuotaReached, TaskService
from todo_domain.retention import KEYS_KEPT

ONCE = Once("8e03978e-40d5-43e8-bc93-6894a57f9324", b"\x00\xff of the body")
MOMENT = timedelta(microseconds=1)


class Retries:
    async def test_a_repeated_create_gives_the_first_response_again(self, store, tasks, clock, ann):
        members = {"title": " trimmed ", "description": "", "completed": True, "tags": ["b", "A"]}
        first = await tasks.create(ann, once=ONCE, **members)
        clock.advance(days=6)
        again = await tasks.create(ann, once=ONCE, **members)
        assert first.task.title == "trimmed"
        assert (first.replayed, again.replayed) == (False, True)
        assert again.task == first.task
        assert await store.page(ann, Query(), unless=None) == ([first.task], 1, False)

    async def test_the_first_response_stands_when_the_task_has_moved_on(self, tasks, ann):
        first = (await tasks.create(ann, once=ONCE, title="first")).task
        await tasks.create(ann, title="another")
        edited = await tasks.edit(ann, first.id, title="edited", completed=True)
        assert await tasks.create(ann, once=ONCE, title="first") == (first, True)
        assert await tasks.get(ann, first.id) == edited

    async def test_the_first_response_stands_when_the_task_is_gone(self, tasks, ann):
        first = (await tasks.create(ann, once=ONCE, title="first")).task
        await tasks.delete(ann, first.id)
        assert await tasks.create(ann, once=ONCE, title="first") == (first, True)
        with pytest.raises(NotFound):
            await tasks.get(ann, first.id)
        assert (await tasks.list(ann)).revision == 2

    async def test_the_first_response_is_given_again_when_the_quota_is_full(self, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=1)
        first = (await tasks.create(ann, once=ONCE, title="first")).task
        with pytest.raises(QuotaReached):
            await tasks.create(ann, once=Once("other", b"body"), title="second")
        assert await tasks.create(ann, once=ONCE, title="first") == (first, True)

    async def test_another_body_under_the_same_key_is_refused(self, tasks, ann):
        first = (await tasks.create(ann, once=ONCE, title="first")).task
        with pytest.raises(KeyReused):
            await tasks.create(ann, once=ONCE._replace(fingerprint=b"other"), title="other")
        await tasks.delete(ann, first.id)
        with pytest.raises(KeyReused):
            await tasks.create(ann, once=ONCE._replace(fingerprint=b"body"), title="other")
        assert await tasks.create(ann, once=ONCE, title="first") == (first, True)

    async def test_keys_are_compared_character_by_character(self, tasks, ann):
        keys = ["key", "KEY", "key%", "key_", "kez", "k\\ey", "'", "k" * 255]
        made = {(await tasks.create(ann, once=Once(key, b"body"), title="once")).task.id for key in keys}
        assert len(made) == len(keys)

    async def test_a_key_is_remembered_for_seven_days_to_the_end(self, tasks, clock, ann):
        first = (await tasks.create(ann, once=ONCE, title="first")).task
        clock.now += KEYS_KEPT - MOMENT
        assert await tasks.create(ann, once=ONCE, title="first") == (first, True)

    async def test_an_expired_key_counts_as_absent_though_it_is_still_there(self, place, tasks, clock, ann):
        first = (await tasks.create(ann, once=ONCE, title="first")).task
        clock.now += KEYS_KEPT + MOMENT
        assert place.count("idempotency_keys", ann) == 1

        other = ONCE._replace(fingerprint=b"other")
        second = await tasks.create(ann, once=other, title="second")
        assert not second.replayed
        assert second.task.id != first.id
        assert place.count("idempotency_keys", ann) == 1

        clock.now += KEYS_KEPT - MOMENT  # counted from the second use
        assert await tasks.create(ann, once=other, title="second") == (second.task, True)
        with pytest.raises(KeyReused):
            await tasks.create(ann, once=ONCE, title="first")

    async def test_the_response_is_the_same_when_the_clock_goes_back(self, tasks, clock, ann):
        first = (await tasks.create(ann, once=ONCE, title="first")).task
        clock.advance(days=-3)
        assert await tasks.create(ann, once=ONCE, title="first") == (first, True)
