"""docs/api.md, Beside the tasks, `/metrics`: what is counted, and that a client cannot make up a name."""

import asyncio
import re
import time

import jwt
import pytest
from apis import in_memory
from prometheus_client.parser import text_string_to_metric_families

from todo_adapters.memory import MemoryTasks
from todo_adapters.observability.metrics import Metrics
from todo_domain import Unavailable

RESPONSES = "todo_http_request_duration_seconds_count"
STORE = "todo_store_operation_duration_seconds_count"
LIST = "/api/{user_id}/tasks"
TASK = "/api/{user_id}/tasks/{key}"


class Numbers:
    """What `/metrics` says, by name and labels."""

    def __init__(self, text):
        self.text = text
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __call__(self, name, **labels):
        """The number; 0 where there is none yet."""
        return self._samples.get((name, frozenset(labels.items())), 0)

    def values(self, name, label):
        """Every value that a label of this name has."""
        return {dict(labels)[label] for given, labels in self._samples if given == name}


async def numbers(api):
    response = await api.request("GET", "/metrics")
    assert (response.status, response.header("cache-control")) == (200, "no-store")
    assert response.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    return Numbers(response.body.decode())


@pytest.fixture
def api():
    with in_memory() as api:
        yield api


async def test_responses_are_counted_by_method_route_and_status(api):
    ann = api.user()
    task = await ann.task()
    for _ in range(2):
        await ann.read(task)
    await ann("GET", "/tasks/999")
    await ann("POST", "/tasks", json={"title": ""})
    counted = await numbers(api)
    assert counted(RESPONSES, method="POST", route=LIST, status="201") == 1
    assert counted(RESPONSES, method="POST", route=LIST, status="400") == 1
    assert counted(RESPONSES, method="GET", route=TASK, status="200") == 2
    assert counted(RESPONSES, method="GET", route=TASK, status="404") == 1


async def test_how_long_responses_take_adds_up_and_lies_in_the_buckets(api):
    await api.user().task()
    counted = await numbers(api)
    labels = {"method": "POST", "route": LIST, "status": "201"}
    took = counted("todo_http_request_duration_seconds_sum", **labels)
    assert 0 < took < 2.5
    assert counted("todo_http_request_duration_seconds_bucket", le="2.5", **labels) == 1


async def test_no_path_user_or_id_gets_into_the_numbers(api):
    ann = api.user("ann-who-is-nobodys-business")
    await ann.read(await ann.task())
    for path in (
        "/api/ann-who-is-nobodys-business/x",
        "/nowhere/at-all",
        "//tasks",
        "/api/x/tasks/",
        "/docs/secret.js",
    ):
        await api.request("GET", path)
    counted = await numbers(api)
    assert not re.search("nobodys|nowhere|at-all|secret", counted.text)
    assert counted(RESPONSES, method="GET", route="none", status="404") == 4
    assert counted(RESPONSES, method="GET", route="/docs/{name}", status="404") == 1


async def test_a_method_that_a_path_does_not_have_has_no_route_and_one_that_nobody_has_no_name(api):
    for method in ("PATCH", "BREW", "x" * 50):
        await api.request(method, "/api/me/tasks")
    counted = await numbers(api)
    assert counted(RESPONSES, method="PATCH", route="none", status="405") == 1
    assert counted(RESPONSES, method="other", route="none", status="405") == 2
    assert counted.values(RESPONSES, "method") == {"PATCH", "other"}


async def test_head_is_counted_as_head_and_too_many_header_bytes_as_431(api):
    await api.user()("HEAD", "/tasks")
    await api.request("GET", "/health/live", headers=[("x-long", "x" * 20_000)])
    counted = await numbers(api)
    assert counted(RESPONSES, method="HEAD", route=LIST, status="200") == 1
    assert counted(RESPONSES, method="GET", route="none", status="431") == 1


async def test_a_bug_is_counted_as_500():
    class Broken(MemoryTasks):
        async def get(self, *_, **__):
            raise ZeroDivisionError

    with in_memory(store=Broken()) as api:
        await api.bare.request("GET", "/api/me/tasks/1", token=api.token("ann"))
        counted = await numbers(api)
    assert counted(RESPONSES, method="GET", route=TASK, status="500") == 1


async def test_callers_are_counted_by_what_came_of_their_token(api):
    ann = api.user()
    await ann.list()
    await ann("GET", "/tasks", token=jwt.encode({"sub": "ann", "exp": time.time() + 60}, "k" * 32, "HS256"))
    await ann("GET", "/tasks", token=api.token("ann", exp=1))
    await api.request("GET", "/api/me/tasks")
    await api.request("GET", "/health/live")
    counted = await numbers(api)
    assert counted("todo_auth_total", outcome="ok") == 1
    assert counted("todo_auth_total", outcome="signature") == 1
    assert counted("todo_auth_total", outcome="expired") == 1
    assert counted("todo_auth_total", outcome="no_token") == 1
    assert counted.values("todo_auth_total", "outcome") == {"ok", "signature", "expired", "no_token"}


async def test_an_unreachable_key_set_is_an_outcome_too():
    class NoKeys:
        async def verify(self, _, **__):
            raise Unavailable("the key set is out of reach")

        async def check(self, **_):
            pass

    with in_memory(verifier=NoKeys()) as api:
        assert (await api.bare.request("GET", "/api/me/tasks", token="x")).status == 503
        assert (await numbers(api))("todo_auth_total", outcome="unavailable") == 1


async def test_calls_of_the_store_are_timed_by_operation_failed_ones_too():
    metrics = Metrics()
    with in_memory(store=metrics.timed(MemoryTasks()), metrics=metrics) as api:
        ann = api.user()
        task = await ann.task()
        await ann.read(task)
        await ann("GET", "/tasks/999")
        await ann("PATCH", f"/tasks/{task['id']}", json={"title": "x"})
        await ann("PATCH", f"/tasks/{task['id']}/complete")
        await ann.list()
        await ann.state()
        await ann("DELETE", f"/tasks/{task['id']}")
        await api.request("GET", "/health/ready")
        counted = await numbers(api)
    once = ("create", "replace", "toggle", "page", "changes", "delete", "check")
    assert {operation: counted(STORE, operation=operation) for operation in once} == dict.fromkeys(once, 1)
    assert counted(STORE, operation="get") == 3
    assert counted("todo_store_operation_duration_seconds_sum", operation="create") > 0


async def test_requests_in_flight_are_those_without_a_response():
    class Waiting(MemoryTasks):
        def __init__(self):
            super().__init__()
            self.go_on = asyncio.Event()

        async def get(self, *_, **__):
            await self.go_on.wait()
            raise Unavailable("enough of that")

    store = Waiting()
    with in_memory(store=store) as api:
        waiting = [asyncio.create_task(api.user().read({"id": 1})) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert (await numbers(api))("todo_http_requests_in_flight") == 3 + 1
        store.go_on.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (await numbers(api))("todo_http_requests_in_flight") == 1


async def test_connections_are_told_by_stores_that_have_some():
    class Pool:
        def connections(self):
            return {"busy": 3, "idle": 1, "limit": 8, "waiting": 2}

    with in_memory(metrics=Metrics(Pool())) as api:
        counted = await numbers(api)
    assert counted("todo_database_connections", state="busy") == 3
    assert counted("todo_database_connections", state="idle") == 1
    assert counted("todo_database_connections_limit") == 8
    assert counted("todo_database_callers_waiting") == 2
    with in_memory() as api:
        assert "todo_database" not in (await numbers(api)).text


async def test_two_applications_of_one_process_count_apart(api):
    with in_memory() as other:
        await other.user().list()
        assert (await numbers(other))("todo_auth_total", outcome="ok") == 1
        assert (await numbers(api))("todo_auth_total", outcome="ok") == 0


async def test_metrics_need_no_token_and_answer_head(api):
    response = await api.request("HEAD", "/metrics")
    assert (response.status, response.body) == (200, b"")
