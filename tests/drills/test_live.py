"""Ten devices listen while two others write and everything breaks: in the end each copy equals the list."""

import asyncio
import os
import random
import signal
import statistics
import time
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import jwt
import pytest

from servers import pgbouncer
from servers.postgres import PostgresServer
from servers.process_table import children
from servers.todo import Served
from support.length import LONG
from support.sql_places import PostgresDatabases
from support.streams import Copy, keep_up, streaming

SECRET = os.urandom(32).hex()
WRITES = 1_000 if LONG else 100
CUTS = 20 if LONG else 4
LISTENERS = 10
USERS = ("ann", "bob")


def token(user, seconds=6):
    return jwt.encode({"sub": user, "exp": int(time.time()) + seconds}, SECRET, "HS256")


class Fleet:
    """Where the service answers, and the ways to break it."""

    def __init__(self, instances, faults):
        self.instances = instances
        self.faults = [
            *faults,
            *([self._kill_a_worker] if all("TODO_WORKERS" in one.settings for one in instances) else []),
        ]

    @property
    def origins(self):
        return [one.origin for one in self.instances]

    def _kill_a_worker(self):
        workers = self._workers(random.choice(self.instances))
        if len(workers) > 1:
            with suppress(ProcessLookupError):
                os.kill(random.choice(workers), signal.SIGKILL)

    @staticmethod
    def _workers(served):
        (supervisor,) = served.process.pids if hasattr(served.process, "pids") else (served.process.pid,)
        return [pid for pid in children(supervisor) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@asynccontextmanager
async def served_on(kind, directory):
    with ExitStack() as held:
        settings = {"TODO_JWT_SECRET": SECRET}
        faults = []
        if kind == "sqlite":
            directories = [directory]
            settings["TODO_WORKERS"] = "2"
        else:
            server = held.enter_context(PostgresServer())
            databases = PostgresDatabases(server)
            name = held.enter_context(databases.another())
            settings["TODO_DATABASE_URL"] = databases.url(name)
            faults = [lambda: server.terminate_connections(name), server.restart]
            if kind.startswith("pgbouncer"):
                pgbouncer.require()
                login = PostgresDatabases.LOGIN
                pooler = held.enter_context(
                    pgbouncer.PgBouncer(server, name, pool_size=4, logins={login: PostgresDatabases.PASSWORD})
                )
                settings["TODO_DATABASE_URL"] = pooler.url(login)
                faults.append(pooler.restart)
                if kind == "pgbouncer and a direct URL":
                    settings["TODO_DATABASE_DIRECT_URL"] = databases.url(name)
            directories = [directory / "one", directory / "two"]
            for each in directories:
                each.mkdir()
        instances = [held.enter_context(Served(each, **settings)) for each in directories]
        yield Fleet(instances, faults)


async def write(fleet, user, writes):
    """Make random changes, each on a random instance; one that fails is tried no further."""
    known = []
    for number in range(writes):
        headers = {"Authorization": f"Bearer {token(user)}"}
        with suppress(httpx.HTTPError):
            async with httpx.AsyncClient(
                base_url=random.choice(fleet.origins), timeout=10, trust_env=False, verify=False, headers=headers
            ) as client:
                action = random.random()
                if action < 0.4 or not known:
                    made = await client.post("/api/me/tasks", json={"title": f"{user} {number}"})
                    if made.status_code == 201:
                        known.append(made.json()["id"])
                elif action < 0.8:
                    await client.patch(f"/api/me/tasks/{random.choice(known)}/complete")
                else:
                    gone = known.pop(random.randrange(len(known)))
                    await client.delete(f"/api/me/tasks/{gone}")


async def whole_list(fleet, user):
    """The list once the service answers again."""
    while True:
        with suppress(httpx.HTTPError):
            async with httpx.AsyncClient(
                base_url=fleet.origins[0], timeout=10, trust_env=False, verify=False
            ) as client:
                response = await client.get("/api/me/tasks", headers={"Authorization": f"Bearer {token(user)}"})
                if response.status_code == 200:
                    return {task["id"]: task for task in response.json()}
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "kind",
    [
        "sqlite",
        *(
            pytest.param(kind, marks=pytest.mark.long)
            for kind in ("postgres", "pgbouncer", "pgbouncer and a direct URL")
        ),
    ],
)
async def test_every_copy_equals_the_list_after_everything_broke(kind, tmp_path):
    seed = os.environ.get("TODO_DRILL_SEED", os.urandom(4).hex())
    print(f"TODO_DRILL_SEED={seed}")  # noqa: T201  to repeat a failure
    random.seed(seed)
    async with served_on(kind, tmp_path) as fleet:
        copies = [(USERS[number % len(USERS)], Copy()) for number in range(LISTENERS)]
        listening = [
            asyncio.create_task(keep_up(copy, lambda: random.choice(fleet.origins), partial(token, user)))
            for user, copy in copies
        ]
        writing = asyncio.gather(*(write(fleet, user, WRITES // len(USERS)) for user in USERS))

        async def strike():
            for _ in range(CUTS):
                await asyncio.sleep(random.uniform(0.2, 0.8))
                await asyncio.to_thread(random.choice(fleet.faults))

        await asyncio.gather(writing, strike())
        lists = {user: await whole_list(fleet, user) for user in USERS}
        async with asyncio.timeout(60):
            while any(copy.tasks != lists[user] for user, copy in copies):
                assert not any(task.done() and task.exception() for task in listening)
                await asyncio.sleep(0.1)
        for task in listening:
            task.cancel()
        for ended in await asyncio.gather(*listening, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended
        for _, copy in copies:
            assert copy.seen == sorted(set(copy.seen))


@asynccontextmanager
async def busy(fleet):
    """Four clients of another user create and list, one request after the other."""

    async def work():
        async with httpx.AsyncClient(timeout=10, trust_env=False, verify=False) as client:
            headers = {"Authorization": f"Bearer {token('bob', 600)}"}
            while True:
                origin = random.choice(fleet.origins)
                await client.post(f"{origin}/api/me/tasks", json={"title": "load"}, headers=headers)
                await client.get(f"{origin}/api/me/tasks?limit=20", headers=headers)

    working = [asyncio.create_task(work()) for _ in range(4)]
    try:
        yield
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


@pytest.mark.parametrize(
    ("kind", "through", "most"),
    [
        ("postgres", "the same worker", 0.05),
        ("sqlite", "another worker", 0.25),
        ("postgres", "another instance", 0.25),
        pytest.param("pgbouncer and a direct URL", "another instance", 0.25, marks=pytest.mark.long),
        pytest.param("pgbouncer", "another instance", 2.0, marks=pytest.mark.long),
    ],
)
async def test_how_soon_a_listener_hears(kind, through, most, tmp_path):
    """While four other clients read and write. Prints the figures; the bound is ten times the aim, because the machine
    does other things.
    """
    async with served_on(kind, tmp_path) as fleet, busy(fleet):
        latencies = []
        async with streaming(fleet.origins[0 if through == "the same worker" else -1], token("ann", 600)) as stream:
            await stream.next()
            async with httpx.AsyncClient(
                base_url=fleet.origins[0], timeout=10, trust_env=False, verify=False
            ) as client:
                headers = {"Authorization": f"Bearer {token('ann', 600)}"}
                for number in range(60 if LONG else 8):
                    await client.post("/api/me/tasks", json={"title": str(number)}, headers=headers)
                    answered = time.perf_counter()
                    event = await stream.next()
                    latencies.append(time.perf_counter() - answered)
                    assert [task["title"] for task in event.data["tasks"]] == [str(number)]
        latencies.sort()
        p95 = latencies[int(len(latencies) * 0.95)]
        print(f"{kind}, {through}: p50 {statistics.median(latencies) * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms")  # noqa: T201  the figures, for -s
        assert p95 < 10 * most
