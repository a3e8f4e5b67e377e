"""`todo copy`: a deployment moves to another database, of the same engine or the other, and its devices go on."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date

import psycopg
import pytest

from servers.terminal import Terminal
from servers.todo import TODO, environment
from support.command import todo
from support.sql_places import PostgresDatabases
from todo_adapters.sql import copying, migrations
from todo_adapters.sql.addresses import database_url
from todo_adapters.sql.copying import CannotCopyError, copy
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_adapters.sql.schema import SqlError
from todo_adapters.sql.sqlite.store import SqliteTasks
from todo_domain import Once, Query, TaskService, user_id
from todo_domain.feed import FeedToken
from todo_domain.ports import utc_now
from todo_domain.put import Put
from todo_domain.task import Priority

FEED = FeedToken(user_id("ann"), b"the secret of a feed")
USERS = [user_id(name) for name in ("ann", "Bob", "ünal", "z" * 255, "日本 x")]
TEXTS = ["plain", "", "tab\tand\nlines\r\n", "\\N", "\\.", "'quoted\" {a,b} \\", "🤷🏽‍♀️ ﷽", "﻿bom", "e\u0301"]


def quiet(*_):
    """Report nothing."""


def store_of(url):
    database = database_url(url)
    return SqliteTasks(database.file) if database.file else PostgresTasks(database.url, pool_size=3)


def over(url, work):
    """What `work` returns when it is given a service over the database."""

    async def run():
        store = store_of(url)
        try:
            await store.open()
            return await work(TaskService(store))
        finally:
            await store.aclose()

    return asyncio.run(run())


async def fill(tasks):
    """Everything that a deployment can hold: each member in each form, deletions, keys."""
    for number, user in enumerate(USERS):
        for place, text in enumerate(TEXTS):
            made = await tasks.create(
                user, title=f"{place} {text}", description=text, once=Once(f"key {place}", b"\0\xff")
            )
            if place % 3 == 0:
                await tasks.delete(user, made.task.id)
            else:
                await tasks.edit(
                    user,
                    made.task.id,
                    tags=[f"tag {text or 'x'}"] * (place % 2),
                    priority=[*Priority][place % 4],
                    completed=place % 2 == 0,
                    position="a0",
                    extra={"n": [1, 1.5, None, text]} if place % 2 else {},
                )
        await tasks.put(user, f"named-by-the-client-{number}", Put({"title": "named", "due_date": date(2026, 12, 1)}))
        await tasks._tasks.make_feed(user, FEED.digest, now=utc_now())


async def known(tasks):
    """What the devices of the users hold."""
    return {
        user: (
            await tasks.changes(user),
            (await tasks.list(user)).revision,
            await tasks.trash(user),
            await tasks.feed(user, FEED),
        )
        for user in USERS
    }


@pytest.fixture
def urls(tmp_path, postgres_databases):
    """Gives the URLs of databases that are not migrated: a file, or one of a server by its owner."""
    server, made = postgres_databases.server, []

    def url(kind):
        if kind == "sqlite":
            made.append(None)
            return f"sqlite:///{tmp_path}/{len(made)}.db"
        made.append(f"copy_{len(made)}_{os.getpid()}")
        server.create_database(made[-1], owner=PostgresDatabases.OWNER)
        return postgres_databases.url(made[-1], PostgresDatabases.OWNER)

    yield url
    for name in filter(None, made):
        server.drop_database(name)


def filled(url):
    migrations.upgrade(url)
    over(url, fill)
    return url


@pytest.mark.parametrize("target", ["sqlite", "postgres"])
@pytest.mark.parametrize("origin", ["sqlite", "postgres"])
def test_devices_go_on_as_if_nothing_had_happened(urls, origin, target):
    one, other = filled(urls(origin)), urls(target)
    before = over(one, known)
    copied = copy(one, other, quiet)
    assert over(other, known) == before
    assert copied.rows["tasks"] == sum(len(changes.tasks) for changes, *_ in before.values())
    assert copied.rows["trash"] == sum(len(trash.trashed) for _, _, trash, _ in before.values()) > 0
    assert copied.rows["feeds"] == sum(len(feed.tasks) for *_, feed in before.values()) == len(USERS)
    assert copied.rows["tombstones"] == 3 * len(USERS)
    assert copied.rows["idempotency_keys"] == len(TEXTS) * len(USERS)

    async def go_on(tasks):
        for user in USERS:
            changes, revision, *_ = before[user]
            assert (await tasks.changes(user, since=revision)).tasks == []
            again = await tasks.create(user, title=f"1 {TEXTS[1]}", description=TEXTS[1], once=Once("key 1", b"\0\xff"))
            assert again.replayed
            new = (await tasks.create(user, title="new")).task
            assert new.id > max(task.id for changes, *_ in before.values() for task in changes.tasks)
            assert new.revision == revision + 1
            assert [task.id for task in (await tasks.changes(user, since=revision)).tasks] == [new.id]
            found = await tasks.list(user, Query(text="PLAIN"))
            assert len(found.tasks) == len([task for task in changes.tasks if "plain" in task.title])

    over(other, go_on)


def test_a_copy_and_the_copy_of_it_have_one_digest(urls):
    one, other, third = filled(urls("sqlite")), urls("postgres"), urls("sqlite")
    assert copy(one, other, quiet) == copy(other, third, quiet)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_database_is_not_copied_into_itself(urls, kind):
    url = urls(kind)
    migrations.upgrade(url)
    with pytest.raises(CannotCopyError, match="are the same: name another one"):
        copy(url, url, quiet)


def test_a_database_of_a_newer_release_is_copied_by_that_release(tmp_path):
    url = f"sqlite:///{tmp_path}/newer.db"
    migrations.upgrade(url)
    with closing(sqlite3.connect(tmp_path / "newer.db", isolation_level=None)) as file:
        file.execute("UPDATE todo_alembic_version SET version_num = '9999'")
    with pytest.raises(CannotCopyError, match="is at 9999, from a newer release: use its todo copy"):
        copy(url, f"sqlite:///{tmp_path}/target.db", quiet)
    checked = todo("migrate", "--check", cwd=tmp_path, TODO_DATABASE_URL=url)
    assert (checked.returncode, checked.stdout) == (0, "at 9999, from a newer release\n")


def test_a_file_is_not_copied_into_itself_under_another_name_of_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    migrations.upgrade("sqlite:///todo.db")
    with pytest.raises(CannotCopyError, match="are the same: name another one"):
        copy("sqlite:///todo.db", f"sqlite:///{tmp_path}/todo.db", quiet)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_target_that_holds_data_is_refused_and_left_alone(urls, kind):
    one, other = filled(urls("sqlite")), filled(urls(kind))
    before = over(other, known)
    with pytest.raises(CannotCopyError, match="has data: use an empty one"):
        copy(one, other, quiet)
    assert over(other, known) == before


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_row_that_arrives_changed_is_noticed_and_nothing_is_kept(urls, kind, monkeypatch):
    one, other = filled(urls("sqlite")), urls(kind)
    reporting = copying._reporting

    def spoilt(rows, step, progress, numbers, table):
        for place, row in enumerate(reporting(rows, step, progress, numbers, table)):
            spoil = step == "copied" and table.name == "tombstones" and place == 2
            yield (*row[:3], "2026-01-01T00:00:00.000001Z", *row[4:]) if spoil else row

    monkeypatch.setattr(copying, "_reporting", spoilt)
    with pytest.raises(CannotCopyError, match="a row of tombstones differs after the copy: nothing was copied"):
        copy(one, other, quiet)
    monkeypatch.undo()
    assert copy(one, other, quiet).rows["tombstones"] == 3 * len(USERS)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_copy_that_is_killed_leaves_nothing_and_can_be_run_again(urls, kind, tmp_path):
    one, other = filled(urls("sqlite")), urls(kind)
    migrations.upgrade(other)
    program = "import sys, os, signal; from todo_adapters.sql import copying\n"
    program += "copying.copy(*sys.argv[1:3], lambda step, done, total: step == sys.argv[3] and os.kill(os.getpid(), 9))"
    for step in ("copied", "compared"):
        ran = subprocess.run([sys.executable, "-c", program, one, other, step], cwd=tmp_path, check=False)
        assert ran.returncode == -signal.SIGKILL
    before = over(one, known)
    copy(one, other, quiet)
    assert over(other, known) == before


def test_the_login_of_the_service_may_neither_read_nor_fill(urls):
    one, other = filled(urls("postgres")), urls("sqlite")
    walled = one.replace(PostgresDatabases.OWNER, PostgresDatabases.LOGIN)
    for origin, target in ((walled, other), (other, walled)):
        migrations.upgrade(other)
        with pytest.raises(SqlError, match="this login may not copy: use the owner of the tables"):
            copy(origin, target, quiet)


def test_the_wall_stands_after_a_copy_on_both_sides(urls):
    one, other = filled(urls("postgres")), urls("postgres")
    copy(one, other, quiet)
    for url in (one, other):
        with psycopg.connect(url) as connection:
            walls = connection.execute(
                "SELECT relname, relforcerowsecurity FROM pg_class WHERE relrowsecurity ORDER BY relname"
            ).fetchall()
        assert [forced for _, forced in walls] == [True] * len(copying.TABLES)


def test_the_command_says_what_was_copied_and_what_is_wrong(urls, tmp_path):
    one, other = filled(urls("sqlite")), urls("postgres")
    ran = todo("copy", "--from", one, "--to", other, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"copied and compared: {len(USERS)} feeds, {len(USERS)} users, ")
    again = todo("copy", "--from", one, cwd=tmp_path, TODO_DATABASE_URL=other)
    assert (again.returncode, again.stderr) == (1, "todo: the database to copy into has data: use an empty one\n")
    for url, sentence in {
        "memory:": "--from must name a file or a server",
        "nonsense": "the database URL of --from",
        f"sqlite:///{tmp_path}/none.db": "there is no deployment at the URL of --from",
    }.items():
        refused = todo("copy", "--from", url, cwd=tmp_path, TODO_DATABASE_URL=urls("sqlite"))
        assert refused.returncode == 1
        assert sentence in refused.stderr
        assert refused.stderr.count("\n") == 1


def test_a_terminal_shows_how_far_it_is(urls, tmp_path):
    """The bar is drawn with carriage returns, on standard error alone."""
    one, other = filled(urls("sqlite")), urls("sqlite")
    with Terminal([TODO, "copy", "--from", one, "--to", other], cwd=tmp_path, env=environment()) as terminal:
        assert terminal.end() == 0
        assert "compared  [########################################]" in terminal.text
