"""The fixtures of the contract suite: a clock, users, and a store over the fixture `place`.

A project with its own store has in its `conftest.py`: `pytest_plugins = ["store_contract.fixtures"]`.
"""

from collections.abc import AsyncIterator
from itertools import count

import pytest

from support.clock import FakeClock
from support.places import Place
from todo_domain import Tasks, TaskService, UserId, user_id

_numbers = count(1)


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
def ann() -> UserId:
    """A user who has never written."""
    return user_id(f"ann-{next(_numbers)}")


@pytest.fixture
def bob() -> UserId:
    """Another user who has never written."""
    return user_id(f"bob-{next(_numbers)}")


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Tasks]:
    """An open store over `place`, which each test module or class chooses."""
    async with place.open() as opened:
        yield opened


@pytest.fixture
def tasks(store: Tasks, clock: FakeClock) -> TaskService:
    """The service over that store and clock, with the default quota."""
    return TaskService(store, clock=clock)
