"""LISTEN and NOTIFY between two workers on a real PostgreSQL."""

import asyncio
from contextlib import asynccontextmanager

import psycopg
import pytest

from support.waiting import until
from todo_adapters.live import digest_of
from todo_adapters.sql.postgres.connections.client import PostgresClient
from todo_adapters.sql.postgres.notifications import CHANNEL, Notifications
from todo_domain import user_id

ANN = digest_of(user_id("ann"))


class Ear:
    """What one worker heard."""

    def __init__(self):
        self.digests = asyncio.Queue()
        self.connections = asyncio.Queue()
        self.sent = []

    async def hears(self):
        async with asyncio.timeout(10):
            return await self.digests.get()

    async def connects(self):
        async with asyncio.timeout(10):
            await self.connections.get()


@asynccontextmanager
async def worker(url, *listen_on):
    client, ear = PostgresClient(url, pool_size=3), Ear()
    notifications = Notifications(
        client,
        listen_on or (url,),
        received=ear.digests.put_nowait,
        reconnected=lambda: ear.connections.put_nowait(None),
        counted=lambda direction, users: direction == "sent" and ear.sent.append(users),
    )
    running = asyncio.create_task(notifications.run())
    try:
        yield notifications, ear
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.aclose()


@pytest.fixture
def url(postgres_databases, postgres_database):
    return postgres_databases.url(postgres_database)


async def test_what_one_worker_announces_the_other_hears(url):
    async with worker(url) as (one, one_ear), worker(url) as (other, other_ear):
        await one_ear.connects()
        await other_ear.connects()
        one.announce(ANN)
        assert await other_ear.hears() == ANN
        other.announce(ANN)
        assert await one_ear.hears() == ANN


async def test_many_writes_are_one_notification(url):
    async with worker(url) as (one, one_ear), worker(url) as (_, other_ear):
        await one_ear.connects()
        await other_ear.connects()
        users = {digest_of(user_id(f"user-{number}")) for number in range(300)}
        for digest in users:
            for _ in range(10):
                one.announce(digest)
        assert {await other_ear.hears() for _ in users} == users
        await until(lambda: sum(one_ear.sent) == 300)  # the others hear before the sender knows that it has sent
        assert len(one_ear.sent) <= 2


async def test_a_connection_that_ends_is_made_anew_and_says_so(url):
    async with worker(url) as (one, ear):
        await ear.connects()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as killer:
            killed = await killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = %s", [f"LISTEN {CHANNEL}"]
            )
            assert killed.rowcount == 1
        await ear.connects()
        one.announce(ANN)
        while await ear.hears() != ANN:
            pass


async def test_the_second_url_is_used_where_the_first_hears_nothing(url):
    nowhere = "postgresql://nobody@127.0.0.1:1/nowhere"
    async with worker(url, nowhere, url) as (one, ear):
        await ear.connects()
        one.announce(ANN)
        assert await ear.hears() == ANN


async def test_nothing_is_announced_while_nobody_listens(url):
    async with worker(url, "postgresql://nobody@127.0.0.1:1/nowhere") as (one, _):
        one.announce(ANN)
        assert not one.listening
        assert not one._pending
