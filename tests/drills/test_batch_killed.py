"""An atomic batch, cut off at every step of it: all of it is there, or nothing, and its repetition does it once."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from contextlib import aclosing, suppress
from itertools import count
from pathlib import Path

import pytest

from servers.tampering import TamperingProxy
from support.killed_batch import BATCH, DOOMED, MADE, OLD, PLACES
from support.sql_places import PostgresDatabases
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_domain import Done, Exists, TaskService, Unavailable, user_id

CHILD = """
import asyncio, os, signal, sqlite3, sys
sys.path.insert(0, sys.argv[1])
from support.killed_batch import BATCH
from todo_adapters.sql.sqlite.store import SqliteTasks
from todo_domain import TaskService, user_id

steps, begun, connect, last = 0, False, sqlite3.connect, 0

def step(_):
    global steps
    steps += begun
    if steps == last:
        os.kill(os.getpid(), signal.SIGKILL)

def connecting(*how, **more):
    connection = connect(*how, **more)
    connection.set_trace_callback(step)
    return connection

async def main():
    global begun
    sqlite3.connect = connecting
    store = SqliteTasks(sys.argv[2])
    await store.open()
    begun = True
    await TaskService(store).batch(user_id(f"ann-{last}"), BATCH, atomic=True)
    await store.aclose()

for line in sys.stdin:
    last = int(line)
    child = os.fork()
    if not child:
        asyncio.run(main())
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""For each number that it reads: a fork that kills itself when SQLite begins the statement of that number, BEGIN and
COMMIT included."""


class Batched:
    """A user with two tasks, whose batch may be there or not."""

    def __init__(self, store, name):
        self.tasks = TaskService(store)
        self.owner = user_id(name)

    async def prepare(self):
        for key in (OLD, DOOMED):
            await self.tasks.put(self.owner, key, PLACES[key])
        self.before = await self._state()
        return self

    async def is_done(self):
        """Return whether the whole batch is there; any other state but that before it is wrong."""
        titles, revision = found = await self._state()
        if found == self.before:
            return False
        assert titles == {OLD: "edited", **dict.fromkeys(MADE, "made")}
        assert revision == self.before[1] + len(BATCH)
        return True

    async def repeat(self):
        """Send the batch again, which does it unless it is done."""
        done = await self.is_done()
        results = await self.tasks.batch(self.owner, BATCH)
        for result in results[: len(MADE)]:
            assert isinstance(result, Exists) if done else result.created
        assert [isinstance(result, Done) for result in results[len(MADE) :]] == [True, not done, True, True]
        assert await self.is_done()

    async def _state(self):
        changes = await self.tasks.changes(self.owner)
        return {task.uid: task.title for task in changes.tasks}, changes.revision


@pytest.fixture
def killed_at(sqlite_place):
    """Sends the batch of a step's user in a process that dies at that step, and returns how it ended."""
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parents[1]), str(sqlite_place._path)]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ending(step):
        program.stdin.write(f"{step}\n")
        program.stdin.flush()
        return int(program.stdout.readline())

    yield ending
    program.communicate(timeout=20)


async def test_on_sqlite_a_batch_killed_before_each_statement_is_there_whole_or_not_at_all(sqlite_place, killed_at):
    outcomes = []
    async with sqlite_place.open() as store:
        for step in count(1):
            batched = await Batched(store, f"ann-{step}").prepare()
            ending = await asyncio.to_thread(killed_at, step)
            assert ending in {0, -signal.SIGKILL}
            outcomes.append(await batched.is_done())
            await batched.repeat()
            if not ending:
                break
    assert outcomes[-1]
    assert outcomes == sorted(outcomes)  # nothing of it until a step, and all of it from then on
    assert len(outcomes) > 20  # a statement for each row, at least


class CuttingProxy(TamperingProxy):
    """Passes bytes on; `cut` says after how many of those of one direction every connection is closed."""

    def __init__(self, port):
        super().__init__(port)
        self.passed = {"sent": 0, "got": 0}
        self._left = {"sent": None, "got": None}
        self._lock = threading.Lock()

    def cut(self, direction, after):
        with self._lock:
            self._left = {"sent": None, "got": None, direction: after}

    def mend(self):
        self.cut("sent", None)

    def serve(self, client):
        with client, socket.create_connection(self.target) as server:
            responses = threading.Thread(target=self._pass, args=("got", server, client), daemon=True)
            responses.start()
            self._pass("sent", client, server)
            responses.join()

    def _pass(self, direction, source, target):
        with suppress(OSError):
            while data := source.recv(65_536):
                with self._lock:
                    left = self._left[direction]
                    if left is not None:
                        data = data[:left]
                        self._left[direction] = left - len(data)
                    self.passed[direction] += len(data)
                target.sendall(data)
                if left is not None and left <= len(data):
                    break
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("direction", ["sent", "got"])
async def test_on_postgresql_a_batch_cut_off_within_its_bytes_is_there_whole_or_not_at_all(
    postgres_databases, postgres_database, direction
):
    outcomes = []
    with CuttingProxy(postgres_databases.server.port) as proxy:
        login = (PostgresDatabases.LOGIN, PostgresDatabases.PASSWORD)
        url = postgres_databases.server.url(postgres_database, *login, port=proxy.port)
        async with aclosing(PostgresTasks(url, pool_size=3)) as store:
            whole = 0
            for cut in range(33):  # the first is not cut, and says how many bytes there are
                batched = await Batched(store, f"cut-{direction}-{cut}").prepare()
                begun = proxy.passed[direction]
                if cut:
                    proxy.cut(direction, whole * cut // 33)
                try:
                    await batched.tasks.batch(batched.owner, BATCH, atomic=True)
                    ended = None
                except Unavailable as outage:
                    ended = outage
                proxy.mend()
                whole = whole or proxy.passed[direction] - begun
                done = await batched.is_done()
                assert done or ended is not None
                assert not done or ended is None or ended.outcome_unknown
                outcomes.append((done, ended is not None))
                await batched.repeat()
    assert outcomes[0] == (True, False)
    assert ((False, True) if direction == "sent" else (True, True)) in outcomes
