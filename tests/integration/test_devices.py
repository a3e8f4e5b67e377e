"""Over each store, devices that keep a copy end up with exactly what the service lists."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from support.length import examples
from support.store_state_machine import StoreStateMachine

# No shrinking: to make a story short, thousands of its variations would be tried, for five minutes.
SETTINGS = settings(
    max_examples=examples(10), stateful_step_count=40, phases=[Phase.reuse, Phase.generate], print_blob=True
)


@pytest.mark.parametrize("place", ["memory_place", "sqlite_place", "postgres_place", "pgbouncer_place"])
def test_whatever_a_household_does_every_device_keeps_the_list(request, place):
    opened = AsyncExitStack()
    with asyncio.Runner() as runner:
        store = runner.run(opened.enter_async_context(request.getfixturevalue(place).open()))
        try:
            # Each example has users of its own, so that they may share the store.
            run_state_machine_as_test(lambda: StoreStateMachine(store, runner.run), settings=SETTINGS)
        finally:
            runner.run(opened.aclose())
