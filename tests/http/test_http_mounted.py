"""Below a path prefix, inside another application: Starlette's Mount, as FastAPI and others do it too."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from apis import Api, in_memory
from client import InProcess, follow
from starlette.applications import Starlette
from starlette.routing import Mount

from todo_adapters.http.middleware.admission import Admission
from todo_adapters.memory import MemoryTasks
from todo_app.mounting import started

PREFIXES = ["/todo", "/api", "/v1/todo", "/a b", "/ü"]


def mounted(api: Api, prefix: str) -> InProcess:
    app = api.bare.app
    for segment in reversed(prefix.split("/")[1:]):
        app = Starlette(routes=[Mount(f"/{segment}", app)])
    return InProcess(app)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_every_reference_leads_to_a_place_below_the_prefix(prefix: str):
    path = "".join(f"%{byte:02X}" if byte > 0x7E or byte == 0x20 else chr(byte) for byte in prefix.encode())
    with in_memory() as api:
        outer, token = mounted(api, prefix), api.token("a/b")
        tasks = f"{path}/api/me/tasks"
        made = [await outer.request("POST", tasks, token=token, json={"title": f"{number}"}) for number in range(3)]
        for response in made:
            location = follow(tasks, response.header("location"))
            assert location.startswith(f"{path}/api/")
            assert (await outer.request("GET", location, token=token)).json() == response.json()
        page, seen = f"{tasks}?limit=1", []
        while page:
            response = await outer.request("GET", page, token=token)
            seen += response.json()
            link = response.header("link")
            page = link and follow(page, link.removeprefix("<").removesuffix('>; rel="next"'))
        assert seen == [response.json() for response in reversed(made)]
        document = await outer.request("GET", f"{path}/openapi.json")
        assert follow(f"{path}/openapi.json", document.json()["servers"][0]["url"]) == f"{path}/"
        assert (await outer.request("GET", f"{path}/docs/start.js")).status == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/todo/health/live", 200),
        ("/%74odo/health/live", 200),
        ("/todo/health/live/", 404),
        ("/todo//health/live", 404),
        ("/todo/todo/health/live", 404),
        ("/todo/", 307),
        ("/todo/api/%61nn/tasks", 200),
        ("/todo/api/ann/tasks/1%2Fcomplete", 400),
        ("/todo/api/b%2Fob/tasks", 403),
        ("/todo/api/../health/live", 404),
    ],
)
async def test_below_the_prefix_each_path_has_its_one_spelling(target: str, status: int):
    with in_memory() as api:
        response = await mounted(api, "/todo").request("GET", target, token=api.token("ann"))
    assert response.status == status
    assert response.header("x-request-id")


async def test_below_the_prefix_requests_wait_for_room_too():
    class Slow(MemoryTasks):
        async def get(self, *_, **__):
            await asyncio.Event().wait()

    admission = Admission(most=1)
    with in_memory(store=admission.counted(Slow()), admission=admission) as api:
        outer, token = mounted(api, "/todo"), api.token("ann")
        stuck = asyncio.create_task(outer.request("GET", "/todo/api/me/tasks/1", token=token))
        await asyncio.sleep(0)
        assert (await outer.request("GET", "/todo/api/me/tasks", token=token)).status == 503
        assert (await outer.request("GET", "/todo/health/live")).status == 200
        stuck.cancel()


async def test_started_runs_the_beginning_and_the_end_of_what_is_mounted():
    events = []

    @asynccontextmanager
    async def lifespan(_):
        events.append("begun")
        yield
        events.append("ended")

    with in_memory(lifespan=lifespan) as api:
        async with started(api.bare.app):
            assert events == ["begun"]
            assert (await mounted(api, "/todo").request("GET", "/todo/health/ready")).status == 200
    assert events == ["begun", "ended"]


async def test_started_says_why_it_could_not_begin():
    @asynccontextmanager
    async def lifespan(_):
        raise RuntimeError("no disk")
        yield

    with in_memory(lifespan=lifespan) as api:
        with pytest.raises(ExceptionGroup) as failed:
            async with started(api.bare.app):
                pytest.fail("it has not started")
        assert failed.group_contains(RuntimeError, match="no disk")
