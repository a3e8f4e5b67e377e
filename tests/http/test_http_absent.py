"""A task that somebody else has and one that never was: the same bytes."""

import json

import pytest
from absent import OPERATIONS, absent_ids


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def place(request):
    return request.getfixturevalue(f"{request.param}_place")


@pytest.fixture
async def ids(store):
    async with absent_ids(store) as ids:
        yield ids


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_the_responses_are_the_same_byte_for_byte_but_for_the_request_id(ids, operation):
    api, ann, theirs, never = ids
    method, below, how = operation
    responses = []
    for task_id in (theirs, never):
        response = await api.request(method, f"/api/me/tasks/{task_id}{below}", token=ann.token, **how)
        request_id = response.header("x-request-id")
        headers = [(name, value.replace(request_id, "")) for name, value in response.headers]
        responses.append((response.status, headers, response.body.replace(request_id.encode(), b"")))
        assert json.loads(response.body)["code"] == "not_found"
    assert responses[0] == responses[1]
