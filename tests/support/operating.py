"""What the tests of an operator's commands share: a service over the database, the roles, and the wall."""

import asyncio

from todo_domain import TaskService


def over(database, work, *, now):
    """What `work` returns when it is given a service over the database, whose clock stands at `now`."""

    async def run():
        store = database.store()
        try:
            return await work(TaskService(store, clock=lambda: now))
        finally:
            await store.aclose()

    return asyncio.run(run())


def url_for(postgres_databases, database, role):
    """The URL of the database for a role; None is the superuser."""
    name = database.url.rpartition("/")[2]
    return postgres_databases.server.url(name) if role is None else postgres_databases.url(name, role)


def walls(database):
    """Whether row-level security is on for the table of users, and forced."""
    return database.run("SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = 'users'")
