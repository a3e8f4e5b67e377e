"""The memory store keeps the contract of every store."""

import asyncio

import pytest

from store_contract import StoreContract
from todo_adapters.memory import MemoryTasks
from todo_domain import Query, TaskService


class TestMemory(StoreContract):
    @pytest.fixture
    def place(self, memory_place):
        return memory_place


async def test_a_search_of_many_tasks_lets_others_run_and_shows_what_there_was_when_it_began(ann):
    store = MemoryTasks()
    tasks = TaskService(store)
    made = [(await tasks.create(ann, title=f"{number}")).task for number in range(1_000)]
    before = await store.page(ann, Query(text="9"), unless=None)
    searching = asyncio.create_task(store.page(ann, Query(text="9"), unless=None))
    rounds = 0
    while not searching.done():
        await asyncio.sleep(0)
        if not rounds:
            await tasks.delete(ann, made[9].id)
        rounds += 1
    assert rounds >= 10
    assert await searching == before
