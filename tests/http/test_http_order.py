"""docs/api.md, Identity: the decision order. Of every pair of faults in one request, the first one responses."""

import asyncio
import json
from copy import deepcopy
from itertools import combinations
from typing import Any, NamedTuple

import pytest
from apis import Api, Caller, Serve
from client import Response

GONE = 9_007_199_254_740_991


class World:
    """Two users who have done what the faults need."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.ann, self.bob = api.user(), api.user()

    async def prepare(self) -> None:
        self.task = await self.ann.task()
        self.foreign = await self.bob.task()
        self.full = self.api.user()
        for key in ("used", "other"):
            made = await self.full("POST", "/tasks", json={"title": key}, headers=[("idempotency-key", key)])
            assert made.status == 201
        made = await self.ann("POST", "/tasks", json={"title": "used"}, headers=[("idempotency-key", "used")])
        assert made.status == 201
        self.states = await self.all_states()

    async def all_states(self) -> list[Any]:
        return [await user.state() for user in (self.ann, self.bob, self.full)]


class Fault(NamedTuple):
    """One wrong thing: its place in the order, the response, what of the request it spoils, for which operations."""

    rank: int
    status: int
    field: str | None
    spoils: str
    value: Any
    operations: str


FAULTS = {
    "headers_too_large": Fault(0, 431, None, "big", "a" * 17_000, "*"),
    "no_such_route": Fault(1, 404, None, "suffix", "/", "*"),
    "no_such_method": Fault(2, 405, None, "method", "TRACE", "*"),
    "no_token": Fault(3, 401, None, "tokens", [], "*"),
    "bad_token": Fault(3, 401, None, "tokens", ["x.y.z"], "*"),
    "two_tokens": Fault(3, 401, None, "tokens", ["OWN", "OWN"], "*"),
    "other_user": Fault(4, 403, None, "user", "BOB", "*"),
    "no_user": Fault(4, 403, None, "user", "%ff", "*"),
    "bad_id": Fault(5, 400, "id", "id", "01", "read put patch delete complete restore discard"),
    "unknown_parameter": Fault(5, 400, "nonsense", "query", "nonsense=1", "*"),
    "bad_parameter": Fault(5, 400, "limit", "query", "limit=0", "list changes trash"),
    "bad_format": Fault(5, 400, "format", "format", "format=xml", "export"),
    "not_confirmed": Fault(5, 400, "confirm", "confirm", "confirm=me", "erase"),
    "bad_condition": Fault(5, 400, "If-Match", "if-match", "17", "put patch delete complete"),
    "bad_read_condition": Fault(5, 400, "If-None-Match", "if-none-match", "17", "list read changes export trash"),
    "bad_key": Fault(5, 400, "Idempotency-Key", "idempotency-key", '"', "create"),
    "other_type": Fault(6, 415, None, "content-type", "text/plain", "create put patch complete restore import"),
    "no_type": Fault(6, 415, None, "content-type", None, "create put patch complete restore import"),
    "encoded": Fault(6, 415, None, "content-encoding", "gzip", "create put patch complete restore import"),
    "body_too_large": Fault(7, 413, None, "padding", 70_000, "create put patch complete restore"),
    "bad_json": Fault(8, 400, "body", "body", b"{", "create put patch complete restore import"),
    "unknown_member": Fault(8, 400, "nonsense", "body", b'{"nonsense": 1}', "create put patch complete restore import"),
    "bad_value": Fault(8, 400, "title", "body", b'{"title": "\\u0000"}', "create put patch"),
    "contradiction": Fault(8, 400, "completed", "body", b'{"title": "x", "completed": true, "status": "incomplete"}',
    "create put patch"),
    "key_reused": Fault(9, 422, None, "idempotency-key", "used", "create"),
    "no_such_task": Fault(10, 404, None, "id", str(GONE), "read put patch delete complete restore discard"),
    "someone_elses_task": Fault(10, 404, None, "id", "FOREIGN", "read put patch delete complete restore discard"),
    "stale": Fault(11, 412, None, "if-match", '"99"', "put patch delete complete"),
    "over_quota": Fault(12, 409, None, "caller", "FULL", "create"),
    "resync": Fault(12, 410, None, "since", "since=99", "changes"),
}  # fmt: skip
"""In the order of docs/api.md, Identity."""

OPERATIONS = {
    "list": ("GET", "/tasks"),
    "create": ("POST", "/tasks"),
    "read": ("GET", "/tasks/{key}"),
    "put": ("PUT", "/tasks/{key}"),
    "patch": ("PATCH", "/tasks/{key}"),
    "delete": ("DELETE", "/tasks/{key}"),
    "complete": ("PATCH", "/tasks/{key}/complete"),
    "changes": ("GET", "/changes"),
    "export": ("GET", "/export"),
    "import": ("POST", "/import"),
    "erase": ("DELETE", ""),
    "trash": ("GET", "/trash"),
    "empty": ("DELETE", "/trash"),
    "restore": ("POST", "/trash/{key}/restore"),
    "discard": ("DELETE", "/trash/{key}"),
}
BODIES = {
    "create": b'{"title": "y"}',
    "put": b'{"title": "y"}',
    "patch": b'{"title": "y"}',
    "complete": b'{"completed": true}',
    "restore": b"{}",
    "import": b'{"format": "todo/1", "user_id": "a", "tasks": []}',
}


def faults_of(operation: str) -> list[str]:
    return [name for name, fault in FAULTS.items() if fault.operations == "*" or operation in fault.operations.split()]


def compatible(*names: str) -> bool:
    """Whether the faults spoil different things, so that they can all be there at once."""
    spoilt = [FAULTS[name].spoils for name in names]
    return len(set(spoilt)) == len(spoilt)


SINGLES = [(operation, (name,)) for operation in OPERATIONS for name in faults_of(operation)]
PAIRS = [
    (operation, pair)
    for operation in OPERATIONS
    for pair in combinations(faults_of(operation), 2)
    if compatible(*pair) and FAULTS[pair[0]].rank != FAULTS[pair[1]].rank
]


async def send(world: World, operation: str, names: tuple[str, ...], *, method: str | None = None):
    """Send a good request with these faults in it."""
    own_method, below = OPERATIONS[operation]
    said: dict[str, Any] = deepcopy({
        "method": method or own_method, "user": "me", "id": str(world.task["id"]), "suffix": "", "query": "",
        "since": "", "format": "", "confirm": f"confirm={world.ann.id}" if operation == "erase" else "",
        "caller": "ANN", "tokens": ["OWN"], "body": BODIES.get(operation), "padding": 0,
        "content-type": "application/json",
        "content-encoding": None, "if-match": None, "if-none-match": None, "idempotency-key": None, "big": None,
    })  # fmt: skip
    said.update({FAULTS[name].spoils: FAULTS[name].value for name in names})
    caller: Caller = world.full if said["caller"] == "FULL" else world.ann
    user = world.bob.id if said["user"] == "BOB" else said["user"]
    task_id = str(world.foreign["id"]) if said["id"] == "FOREIGN" else said["id"]
    headers = [("authorization", "Bearer " + (caller.token if token == "OWN" else token)) for token in said["tokens"]]
    if said["body"] is None:
        said["content-type"] = None
    others = ("content-type", "content-encoding", "if-match", "if-none-match", "idempotency-key", "big")
    headers += [(name, said[name]) for name in others if said[name] is not None]
    body = None if said["body"] is None else said["body"] + b" " * said["padding"]
    query = "&".join(part for part in (said["format"], said["confirm"], said["query"], said["since"]) if part)
    target = f"/api/{user}{below.format(key=task_id)}{said['suffix']}" + (f"?{query}" if query else "")
    return await world.api.request(said["method"], target, headers=headers, body=body)


@pytest.fixture(scope="module")
def world(serve: Serve):
    """Prepared once: what is refused leaves no trace, and at the end that is looked at."""
    with serve(quota=2) as api:
        world = World(api)
        asyncio.run(world.prepare())
        yield world
        assert asyncio.run(world.all_states()) == world.states, "a refused request has written something"


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_the_first_fault_that_applies_decides_the_response(world: World, operation: str):
    """Each fault alone, and with each that comes later and spoils something else."""
    wrong = []
    for names in [names for at, names in SINGLES + PAIRS if at == operation]:
        response, first = await send(world, operation, names), FAULTS[names[0]]
        if response.status != first.status or first.field not in {None, *_fields(response)}:
            wrong.append((names, response))
    assert wrong == []


def _fields(response: Response) -> list[str]:
    """The member or parameter that the response names first, if it names any."""
    return [each["field"] for each in response.json().get("fields", [])[:1]] if response.body else []


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_of_all_faults_at_once_the_first_decides_and_without_it_the_next(world: World, operation: str):
    names = faults_of(operation)
    while names:
        chosen: list[str] = []
        for name in names:
            if compatible(*chosen, name):
                chosen.append(name)
        response = await send(world, operation, tuple(chosen))
        assert response.status == FAULTS[names[0]].status, chosen
        names = names[1:]


@pytest.mark.parametrize("operation", ["list", "read", "changes", "export"])
async def test_head_decides_like_get(world: World, operation: str):
    for names in [names for at, names in SINGLES + PAIRS if at == operation and "no_such_method" not in names]:
        response = await send(world, operation, names, method="HEAD")
        assert response.status == FAULTS[names[0]].status, names


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_options_comes_after_routing_and_before_the_token(world: World, operation: str):
    for name in faults_of(operation):
        fault = FAULTS[name]
        if fault.spoils != "method":
            response = await send(world, operation, (name,), method="OPTIONS")
            assert response.status == (fault.status if fault.rank < 2 else 204), name


def test_the_matrix_is_large():
    assert len(PAIRS) > 600
    assert json.dumps([fault.rank for fault in FAULTS.values()]) == json.dumps(
        sorted(fault.rank for fault in FAULTS.values())
    )
