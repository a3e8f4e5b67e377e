"""Three walls between users, each enough alone: two are taken away, and the third still holds."""

import re

import psycopg
import pytest

from servers.citus import Coordinator
from servers.postgres import PostgresServer
from support.clock import FakeClock
from support.sql_places import PostgresDatabases
from todo_adapters.memory import MemoryTasks
from todo_adapters.sql.postgres.statements import citus_writes
from todo_adapters.sql.postgres.statements import transactions as postgres
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_domain import NotFound, Query, Stale, Tasks, TaskService
from todo_domain.editing import Edit, EditsInOneStep

CLOCK = FakeClock()
PIN = re.compile(rb"(?:users|counted)\.id = (\$\d+::VARCHAR)|\w+\.user_id = (\$\d+::VARCHAR)")


class NoWalls:
    """A store whose statements forgot whose tasks they are for: whoever asks gets the victim's."""

    def __init__(self, store: Tasks, victim: str) -> None:
        self._store = store
        self._victim = victim

    def __getattr__(self, name):
        method = getattr(self._store, name)
        return lambda _, *arguments, **named: method(self._victim, *arguments, **named)


class OneStep(MemoryTasks):
    """A store that edits in one step."""

    async def edit(self, owner, key, edit, *, now, once, trash_kept, deadline):  # noqa: ARG002  the protocol's
        return await self.replace(owner, edit.applied_to(await self.get(owner, key), now), now=now)


async def test_the_service_alone_hands_out_and_rewrites_nobody_elses_task(ann, bob):
    store = MemoryTasks()
    service = TaskService(store, clock=CLOCK)
    task, deleted = [(await service.create(bob, title="bob's")).task for _ in range(2)]
    await service.delete(bob, deleted.id)
    broken = TaskService(NoWalls(store, bob), clock=CLOCK)
    for attempt in (
        broken.get(ann, task.id),
        broken.edit(ann, task.id, title="mine now"),
        broken.toggle(ann, task.id, if_match={task.revision}),
        broken.create(ann, title="x"),
        broken.restore(ann, task.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await broken.list(ann)).tasks == []
    assert (await broken.trash(ann)).trashed == []
    assert len((await store.trash(bob, now=CLOCK())).trashed) == 1
    assert (await broken.changes(ann)).tasks == []
    assert await store.get(bob, task.id) == task


async def test_the_service_alone_cannot_stop_a_write_of_one_trip_but_tells_nothing_of_it(ann, bob):
    store = OneStep()
    task = (await TaskService(store, clock=FakeClock()).create(bob, title="bob's")).task
    broken = TaskService(NoWalls(store, bob), clock=CLOCK)
    for attempt in (
        broken.edit(ann, task.id, title="mine now"),
        broken.edit(ann, task.id, title="mine now", if_match={99}),
        broken.toggle(ann, task.id),
    ):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(NotFound):
        await broken.delete(ann, task.id, if_match={99})
    await store.delete(bob, task.id, now=CLOCK(), expected=None)
    with pytest.raises(NotFound):
        await broken.restore(ann, task.id)


@pytest.fixture
def without_rls(postgres_databases: PostgresDatabases):
    """A database whose row-level security an administrator has switched off."""
    with postgres_databases.another() as name:
        for table in ("users", "tasks", "tombstones", "trash", "idempotency_keys", "feeds"):
            postgres_databases.server.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", database=name)
        yield postgres_databases.url(name)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_statements_alone_keep_users_apart(kind, ann, bob, clock, request):
    """On SQLite there is no other wall; PostgreSQL's is taken down. The store is asked directly."""
    if kind == "sqlite":
        opened = request.getfixturevalue("sqlite_place").open()
    else:
        opened = Opened(request.getfixturevalue("without_rls"))
    async with opened as store:
        await _cannot_reach(store, ann, bob, clock)


class Opened:
    def __init__(self, url):
        self.store = PostgresTasks(url)

    async def __aenter__(self):
        await self.store.open()
        return self.store

    async def __aexit__(self, *_):
        await self.store.aclose()


async def _cannot_reach(store, ann, bob, clock):
    """Nothing that ann does with the id of bob's task finds it, and bob's place stays as it was."""
    service = TaskService(store, clock=clock)
    theirs = (await service.create(bob, title="bob's", due_date=CLOCK().date())).task
    in_trash = (await service.create(bob, title="bob's, deleted")).task
    await service.delete(bob, in_trash.id)
    await service.create(ann, title="ann's")
    token = await service.make_feed(bob)
    before = await store.changes(bob, since=0, limit=1), await store.trash(bob, now=clock())
    assert await store.trash(ann, now=clock()) == ([], False)
    await store.empty_trash(ann)
    edit = Edit({"title": "mine now"})
    for attempt in (
        store.get(ann, theirs.id),
        store.replace(ann, theirs._replace(title="mine now"), now=clock()),
        store.toggle(ann, theirs.id, now=clock()),
        store.delete(ann, theirs.id, now=clock(), expected=None),
        store.delete(ann, theirs.id, now=clock(), expected=[theirs.revision]),
        store.restore(ann, theirs.id, now=clock(), quota=9),
        store.restore(ann, in_trash.id, now=clock(), quota=9),
        store.discard(ann, in_trash.id, now=clock()),
        store.feed(ann, token.digest, unless=None),
        *([store.edit(ann, theirs.id, edit, now=clock())] if isinstance(store, EditsInOneStep) else []),
    ):
        with pytest.raises((NotFound, Stale)) as refused:
            await attempt
        assert refused.type is NotFound
    page = await store.page(ann, Query(), unless=None)
    assert [task.title for task in page.tasks] == ["ann's"]
    assert [task.title for task in (await store.changes(ann, since=0, limit=1)).tasks] == ["ann's"]
    await store.erase(ann)
    assert (await store.page(ann, Query(), unless=None)).tasks == []
    assert (await store.changes(bob, since=0, limit=1), await store.trash(bob, now=clock())) == before
    await store.make_feed(ann, b"ann's", now=clock())
    assert await store.end_feed(ann)
    assert [task.title for task in (await service.feed(bob, token)).tasks] == ["bob's"]


@pytest.fixture
def unpinned(monkeypatch, postgres_databases):
    """Take `user_id = …` out of every statement: each then speaks of everybody's rows.

    Citus cannot join the tasks of all users with all feeds, so that statement stays as it is there.
    """
    on_citus = isinstance(postgres_databases.server, Coordinator)
    for transaction in (postgres.all_transactions() | citus_writes.all_transactions()).values():
        if on_citus and transaction is postgres.FEED:
            continue
        without = tuple(
            statement._replace(text=text, name=b"unpinned_" + statement.name)
            for statement in transaction.statements
            for text in [PIN.sub(lambda pin: b"(%s IS NOT NULL)" % (pin[1] or pin[2]), statement.text)]
        )
        assert without[1:] != transaction.statements[1:], "nothing was pinned to begin with"
        monkeypatch.setattr(transaction, "statements", (transaction.statements[0], *without[1:]))


LOGINS = ["owner", "superuser", "least privilege"]


def _login(databases: PostgresDatabases, database: str, login: str) -> str:
    if login == "superuser":
        return databases.server.url(database)
    return databases.url(database, databases.OWNER if login == "owner" else databases.LOGIN)


@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.usefixtures("unpinned")
async def test_row_level_security_alone_keeps_users_apart_whoever_logs_in(
    login, postgres_databases, postgres_database, ann, bob, clock
):
    async with Opened(_login(postgres_databases, postgres_database, login)) as store:
        await _cannot_reach(store, ann, bob, clock)


@pytest.mark.usefixtures("unpinned")
async def test_without_any_wall_the_same_statements_would_reach_everybody(without_rls, ann, bob, clock):
    """The check of the checks: taking down both walls at once does let ann in."""
    async with Opened(without_rls) as store:
        theirs = (await TaskService(store, clock=clock).create(bob, title="bob's")).task
        assert await store.get(ann, theirs.id) == theirs


@pytest.mark.parametrize("login", LOGINS)
async def test_each_login_serves_and_proves_at_run_time_that_users_are_kept_apart(
    login, postgres_databases, postgres_database, ann
):
    async with Opened(_login(postgres_databases, postgres_database, login)) as store:
        await store.check()
        await store.prove_isolation()
        assert (await TaskService(store, clock=FakeClock()).create(ann, title="x")).task.revision == 1


async def test_readiness_and_the_proof_say_when_row_level_security_is_off(without_rls):
    async with Opened(without_rls) as store:
        with pytest.raises(Exception, match="row-level security is not in force"):
            await store.check()
        with pytest.raises(Exception, match="row-level security is not in force"):
            await store.prove_isolation()


def test_raw_sql_as_todo_app_sees_one_user_and_writes_for_no_other(postgres_databases, postgres_database):
    server: PostgresServer = postgres_databases.server
    if isinstance(server, Coordinator):
        pytest.skip("Citus allows one role in a transaction that writes: test_citus.py shows the same on the nodes")
    new = "INSERT INTO users (id, revision, task_count, horizon, created_at) VALUES (%s, 0, 0, 0, now())"
    with psycopg.connect(server.url(postgres_database)) as connection:
        connection.execute(new, ["raw-ann"])
        connection.execute(new, ["raw-bob"])
        connection.execute("SELECT set_config('role', 'todo_app', true), set_config('todo.user_id', 'raw-ann', true)")
        assert connection.execute("SELECT id FROM users").fetchall() == [("raw-ann",)]
        assert connection.execute("UPDATE users SET revision = 9").rowcount == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(new, ["raw-bob-2"])
        connection.rollback()


def test_nobody_set_means_nobody_seen(postgres_databases, postgres_database):
    with psycopg.connect(postgres_databases.server.url(postgres_database)) as connection:
        connection.execute("SELECT set_config('role', 'todo_app', true)")
        for table in ("users", "tasks", "tombstones", "trash", "idempotency_keys", "feeds"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        connection.rollback()
