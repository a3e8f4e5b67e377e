"""A task that somebody else has and one that never was: the response takes the same time."""

import gc
import random
from statistics import median
from time import perf_counter

import pytest
from absent import OPERATIONS, absent_ids

from support.length import LONG

PAIRS = 10_000 if LONG else 250
RUNS = 3
NEAR = 0.05


@pytest.fixture(params=["memory", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("sqlite", "postgres"))])
def place(request):
    return request.getfixturevalue(f"{request.param}_place")


@pytest.fixture
async def ids(store):
    async with absent_ids(store) as ids:
        yield ids


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_the_responses_take_the_same_time(ids, operation):
    """On a busy machine few pairs say little, so each of the three runs has four times as many as the one before."""
    found = []
    for pairs in (min(PAIRS * 4**run, max(PAIRS, 10_000)) for run in range(RUNS)):
        theirs, never = await _medians(pairs, *ids, *operation)
        found.append(abs(theirs / never - 1))
        if found[-1] <= NEAR:
            return
    raise AssertionError(f"the medians differ by {found}")


async def _medians(pairs, api, ann, theirs, never, method, below, how):
    """The median time of each in interleaved pairs, the first of a pair drawn by lot."""
    took = {theirs: [], never: []}
    targets = {task_id: f"/api/me/tasks/{task_id}{below}" for task_id in took}
    gc.collect()
    gc.disable()
    try:
        for _ in range(pairs):
            for task_id in random.sample((theirs, never), 2):
                begun = perf_counter()
                response = await api.bare.request(method, targets[task_id], token=ann.token, **how)
                took[task_id].append(perf_counter() - begun)
                assert response.status == 404
    finally:
        gc.enable()
    return median(took[theirs]), median(took[never])
