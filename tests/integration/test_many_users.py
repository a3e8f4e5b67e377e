"""A hundred users at once through PgBouncer with two connections: no byte of one in another's response."""

import asyncio
import random
from contextlib import aclosing

from servers import pgbouncer
from servers.pgbouncer import PgBouncer
from support.clock import FakeClock
from support.length import LONG
from support.sql_places import PostgresDatabases
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_domain import NotFound, Query, TaskService, user_id

USERS = 100
OPERATIONS = 100 if LONG else 30


async def _live(tasks, name, chance):
    """Do many things as one user, with the user's name in every title; see nothing without it."""
    owner = user_id(name)
    own, revision = [], 0
    for number in range(OPERATIONS):
        what = chance.random()
        if what < 0.4 or not own:
            task, _ = await tasks.create(owner, title=f"{name} {number}", tags=[name])
            own.append(task.id)
        elif what < 0.55:
            task = await tasks.edit(owner, chance.choice(own), title=f"{name} {number}")
        elif what < 0.65:
            task = await tasks.toggle(owner, chance.choice(own))
        elif what < 0.72:
            await tasks.delete(owner, own.pop(chance.randrange(len(own))))
            revision += 1
            continue
        elif what < 0.8:
            try:
                foreign = await tasks.get(owner, chance.randrange(1, USERS * OPERATIONS // 2))
                assert foreign.title.startswith(f"{name} ")
            except NotFound:
                pass
            continue
        else:
            page = await tasks.list(owner, Query(limit=10) if what < 0.9 else Query(text=name))
            assert page.revision == revision
            assert all(task.title.startswith(f"{name} ") and task.tags == (name,) for task in page.tasks)
            continue
        assert task.title.startswith(f"{name} ")
        assert task.revision == revision + 1
        revision = task.revision
    return owner, set(own), revision


async def test_a_hundred_users_never_meet(postgres_databases, postgres_database):
    pgbouncer.require()
    logins = {PostgresDatabases.LOGIN: PostgresDatabases.PASSWORD}
    with PgBouncer(postgres_databases.server, postgres_database, pool_size=2, logins=logins) as pooler:
        async with aclosing(PostgresTasks(pooler.url(PostgresDatabases.LOGIN), pool_size=6)) as store:
            tasks = TaskService(store, clock=FakeClock())
            lives = await asyncio.gather(
                *(_live(tasks, f"user{number:03}", random.Random(number)) for number in range(USERS))
            )
            for owner, own, revision in lives:
                page = await tasks.list(owner)
                assert {task.id for task in page.tasks} == own
                assert page.revision == revision
    rows = postgres_databases.server.execute(
        """SELECT users.id, users.revision, users.task_count, tasks.alive, marks.revisions, marks.highest
           FROM users,
           LATERAL (SELECT count(*) AS alive FROM tasks WHERE user_id = users.id) AS tasks,
           LATERAL (SELECT count(DISTINCT revision) AS revisions, max(revision) AS highest
                    FROM (SELECT revision FROM tasks WHERE user_id = users.id
                          UNION ALL SELECT revision FROM tombstones WHERE user_id = users.id) AS every) AS marks""",
        database=postgres_database,
    )
    kept = {owner: revision for owner, _, revision in lives}
    assert len(rows) == USERS
    for owner, revision, task_count, alive, revisions, highest in rows:
        assert (revision, task_count) == (kept[owner], alive)
        assert revisions <= revision
        assert highest == revision or revisions < revision
