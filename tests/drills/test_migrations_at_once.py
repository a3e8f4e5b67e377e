"""Many processes that start at once migrate one database once; so do databases of one server at once."""

import asyncio
import subprocess
import sys
import threading
from contextlib import aclosing

import pytest

from servers.postgres import PostgresServer
from todo_adapters.sql import migrations, schema
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_adapters.sql.sqlite.store import SqliteTasks
from todo_domain import TaskService, user_id

# Ten processes, made by one that has imported everything.
TEN = """
import os, sys
from todo_adapters.sql import migrations
from todo_adapters.sql.postgres.commands import migration
from todo_adapters.sql.sqlite.commands import migration

ten = []
for _ in range(10):
    if not (child := os.fork()):
        os.write(1, migrations.upgrade(sys.argv[1]).encode() + b"\\n")
        os._exit(0)
    ten.append(child)
sys.exit(any([os.waitpid(child, 0)[1] for child in ten]))
"""


@pytest.fixture(scope="module")
def bare_server():
    """A server on which nobody has created the role yet."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'todo.db'}"
    server = request.getfixturevalue("bare_server")
    server.create_database("ten")
    return server.url("ten")


def test_ten_at_once_on_an_empty_database_all_succeed_and_one_does_it(url):
    run = subprocess.run([sys.executable, "-c", TEN, url], capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode, run.stdout.split()) == (0, [schema.head()] * 10), run.stderr

    async def create():
        store = SqliteTasks(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else PostgresTasks(url)
        async with aclosing(store):
            return (await TaskService(store).create(user_id("ann"), title="x")).task.id

    assert asyncio.run(create()) == 1


def test_databases_of_one_server_may_be_migrated_at_once(bare_server):
    names = [f"at_once_{number}" for number in range(4)]
    for name in names:
        bare_server.create_database(name)
    reached = []
    threads = [
        threading.Thread(target=lambda name=name: reached.append(migrations.upgrade(bare_server.url(name))))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reached == [schema.head()] * 4
