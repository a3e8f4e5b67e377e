"""Idempotency keys on every write except a plain create: done once, however often it is repeated."""

import asyncio

import pytest

from todo_domain import Gone, KeyReused, NotFound, Once, Put, QuotaReached, Repeated, Stale, TaskService
from todo_domain.retention import KEYS_KEPT

UID = "a-name-and-a-key"
KEY = Once("8e03978e-40d5-43e8-bc93-6894a57f9324", b"\x00of this request")


async def repeated(write):
    """The present task, which a repetition returns."""
    with pytest.raises(Repeated) as done:
        await write
    return done.value.task


class Keys:
    async def test_a_write_with_a_key_is_done_once_and_its_repetition_gets_the_task_as_it_is_now(
        self, place, tasks, clock, ann
    ):
        made = (await tasks.put(ann, UID, Put({"title": "x"}))).task
        writes = {
            "edit": lambda key, once: tasks.edit(ann, key, title="edited", if_match={made.revision}, once=once),
            "put": lambda key, once: tasks.put(ann, key, Put({"description": "put"}), once=once),
            "toggle": lambda key, once: tasks.toggle(ann, key, once=once),
            "conditional toggle": lambda key, once: tasks.toggle(ann, key, if_match={made.revision}, once=once),
        }
        number = 0
        for address in (made.id, UID):
            for name, write in writes.items():
                number += 1
                once = Once(f"{name} of {address}", b"fingerprint")
                if name == "put":
                    await tasks.edit(ann, UID, description=f"{number}")
                    made = await tasks.get(ann, UID)
                first = await write(address, once)
                done = await tasks.get(ann, UID)
                assert done.revision == made.revision + 1
                assert done in (first, getattr(first, "task", None))
                assert await repeated(write(address, once)) == done
                clock.advance(days=1)
                moved = await tasks.edit(ann, made.id, title=f"moved {number}")
                assert await repeated(write(address, once)) == moved
                with pytest.raises(KeyReused):
                    await write(address, once._replace(fingerprint=b"of another"))
                assert await tasks.get(ann, UID) == moved
                made = moved
                clock.advance(days=-1)
        assert place.count("idempotency_keys", ann) == 8

    async def test_a_create_by_name_with_a_key_is_done_once_and_remembered(self, place, tasks, ann):
        put = Put({"title": "x"})
        made = await tasks.put(ann, UID, put, once=KEY)
        assert made.created
        assert await repeated(tasks.put(ann, UID, put, once=KEY)) == made.task
        with pytest.raises(KeyReused):
            await tasks.put(ann, UID, put, once=KEY._replace(fingerprint=b"other"))
        with pytest.raises(KeyReused):
            await tasks.create(ann, title="x", once=KEY._replace(fingerprint=b"of a POST"))
        edited = await tasks.edit(ann, UID, title="y")
        assert await repeated(tasks.put(ann, UID, put, once=KEY)) == edited
        assert place.count("idempotency_keys", ann) == 1

    async def test_a_deletion_with_a_key_is_done_once(self, store, tasks, ann):
        for address in ("id", "uid"):
            task = (await tasks.put(ann, f"{UID}-{address}", Put({"title": "x"}))).task
            key, once = (task.id if address == "id" else task.uid), Once(address, b"delete")
            with pytest.raises(Stale):
                await tasks.delete(ann, key, if_match={task.revision + 9}, once=once)
            await tasks.delete(ann, key, if_match={task.revision}, once=once)
            for _ in range(2):
                assert await repeated(tasks.delete(ann, key, if_match={task.revision}, once=once)) is None
            with pytest.raises(KeyReused):
                await tasks.delete(ann, key, once=once._replace(fingerprint=b"other"))
        assert (await store.changes(ann, since=0, limit=1)).tasks == []
        assert (await tasks.list(ann)).revision == 4

    async def test_the_repetition_of_a_write_whose_task_is_gone_says_so(self, tasks, ann):
        for address, error in (("id", NotFound), ("uid", Gone)):
            task = (await tasks.put(ann, f"{UID}-{address}", Put({"title": "x"}))).task
            key = task.id if address == "id" else task.uid
            writes = {
                "edit": lambda once, key=key: tasks.edit(ann, key, title="y", once=once),
                "toggle": lambda once, key=key: tasks.toggle(ann, key, once=once),
                "put": lambda once, key=key: tasks.put(ann, key, Put({"title": "z"}), once=once),
            }
            for name, write in writes.items():
                await write(Once(f"{name} {address}", b"x"))
            await tasks.delete(ann, key)
            for name, write in writes.items():
                with pytest.raises(error):
                    await write(Once(f"{name} {address}", b"x"))

    async def test_only_a_success_that_changed_something_is_remembered(self, place, store, tasks, clock, ann):
        task = (await tasks.put(ann, UID, Put({"title": "x"}))).task
        full = TaskService(store, clock=clock, quota=1)
        for error, write in (
            (Stale, lambda: tasks.edit(ann, UID, title="y", if_match={9}, once=KEY)),
            (Stale, lambda: tasks.toggle(ann, task.id, if_match={9}, once=KEY)),
            (Stale, lambda: tasks.put(ann, UID, Put({"title": "y", "revision": 9}), once=KEY)),
            (Stale, lambda: tasks.delete(ann, UID, if_match={9}, once=KEY)),
            (NotFound, lambda: tasks.edit(ann, task.id + 1_000_000, title="y", once=KEY)),
            (NotFound, lambda: tasks.toggle(ann, "never-a-name", once=KEY)),
            (NotFound, lambda: tasks.delete(ann, task.id + 1_000_000, once=KEY)),
            (QuotaReached, lambda: full.put(ann, "one-too-many", Put({"title": "x"}), once=KEY)),
        ):
            with pytest.raises(error):
                await write()
        assert await tasks.edit(ann, UID, title="x", once=KEY) == task
        assert (await tasks.put(ann, UID, Put({"title": "x"}), once=KEY)).task == task
        assert place.count("idempotency_keys", ann) == 0
        assert (await tasks.list(ann)).revision == 1
        assert (await tasks.toggle(ann, UID, once=KEY)).completed

    async def test_a_key_is_forgotten_after_seven_days_and_then_remembers_anew(self, place, tasks, clock, ann):
        await tasks.put(ann, UID, Put({"title": "x"}))
        first = await tasks.toggle(ann, UID, once=KEY)
        clock.now += KEYS_KEPT
        second = await tasks.toggle(ann, UID, once=KEY)
        assert (first.completed, second.completed) == (True, False)
        assert await repeated(tasks.toggle(ann, UID, once=KEY)) == second
        assert place.count("idempotency_keys", ann) == 1

    async def test_a_key_belongs_to_one_user(self, tasks, ann, bob):
        for owner in (ann, bob):
            assert (await tasks.put(owner, UID, Put({"title": "x"}), once=KEY)).created

    async def test_fifty_racing_toggles_with_one_key_are_one_toggle(self, tasks, ann):
        task = (await tasks.put(ann, UID, Put({"title": "x"}))).task
        for key in (UID, task.id):
            once = Once(f"{key}", b"toggle")
            racing = (tasks.toggle(ann, key, once=once) for _ in range(50))
            endings = await asyncio.gather(*racing, return_exceptions=True)
            now = await tasks.get(ann, key)
            assert (now.completed, now.revision) == (not task.completed, task.revision + 1)
            assert sorted(type(ending).__name__ for ending in endings) == ["Repeated"] * 49 + ["Task"]
            assert {ending.task for ending in endings if isinstance(ending, Repeated)} == {now}
            task = now

    async def test_racing_repeats_of_any_write_are_one_write(self, tasks, ann):
        await tasks.put(ann, UID, Put({"title": "x"}))
        for number, write in enumerate(
            (
                lambda once: tasks.edit(ann, UID, description="y", once=once),
                lambda once: tasks.put(ann, "another-name", Put({"title": "x"}), once=once),
                lambda once: tasks.delete(ann, "another-name", once=once),
            ),
            2,
        ):
            racing = (write(Once(f"{number}", b"x")) for _ in range(10))
            endings = await asyncio.gather(*racing, return_exceptions=True)
            assert sum(isinstance(ending, Repeated) for ending in endings) >= 1
            assert not [each for each in endings if isinstance(each, Exception) and not isinstance(each, Repeated)]
            assert (await tasks.list(ann)).revision == number
