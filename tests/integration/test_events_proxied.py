"""Streams through the shipped proxy, over two instances that are replaced one after the other."""

import asyncio
import os

import httpx

from servers.nginx import proxying
from servers.todo import Served, token_for
from support.streams import Copy, streaming

SECRET = os.urandom(32).hex()


async def test_a_rolling_restart_answers_no_stream_with_an_error_and_loses_no_change(tmp_path):
    """Each instance has the same SQLite file, and is replaced by another one on its port while a device listens."""
    token = token_for("ann", SECRET)
    settings = {
        "TODO_JWT_SECRET": SECRET,
        "TODO_DATABASE_URL": f"sqlite:///{tmp_path}/todo.db",
        "TODO_DRAIN_SECONDS": "2",
    }
    directories = [tmp_path / name for name in ("one", "two", "proxy")]
    for each in directories:
        each.mkdir()
    one, two = (Served(each, **settings) for each in directories[:2])
    statuses, copy, done = [], Copy(), asyncio.Event()

    async def create(client, title):
        while (
            made := await client.post("/api/me/tasks", json={"title": title}, headers={"Idempotency-Key": title})
        ).status_code == 503:  # as clients do, with the same key
            pass
        assert made.status_code == 201, made.text

    async def listen(origin):
        while not done.is_set():
            async with streaming(origin, token, f"?since={copy.since}") as stream:
                statuses.append(stream.response.status_code)
                while (event := await stream.next(seconds=60)).name != "bye":
                    if event.name == "changes":
                        copy.apply(event.data)

    with one, two, proxying(directories[2], one.port, two.port) as port:
        origin = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(
            base_url=origin, headers={"Authorization": f"Bearer {token}"}, timeout=20, trust_env=False, verify=False
        ) as client:
            await create(client, "before")
            copy.whole((await client.get("/api/me/changes")).json())
            listening = asyncio.create_task(listen(origin))
            for replaced in (one, two):
                await create(client, f"before-{replaced.port}")
                await asyncio.to_thread(replaced.process.stop)
                await create(client, f"while-{replaced.port}")
                replaced.__init__(replaced.directory, port=replaced.port, **settings)
                await asyncio.to_thread(replaced.__enter__)
            listed = {task["id"]: task for task in (await client.get("/api/me/tasks")).json()}
            async with asyncio.timeout(30):
                while copy.tasks != listed:  # noqa: ASYNC110  the listener under test has no event to wait for
                    await asyncio.sleep(0.05)
            done.set()
            listening.cancel()
    assert len(listed) == 5
    assert set(statuses) == {200}
