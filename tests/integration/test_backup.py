"""`todo backup`: whole copies under load, one file each, and devices that start anew after a restore."""

import asyncio
import shutil
import sqlite3
import stat
import subprocess
import threading
from contextlib import aclosing, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers import binaries
from servers.todo import Served
from support.command import todo
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_domain import Resync, TaskService, user_id

SECRET = "0123456789abcdef0123456789abcdef"
ANN = user_id("ann")


COPIES = 4


@dataclass
class Life:
    """A service under load that is copied; its last copy put back; what a device then sees, which was ahead of it."""

    directory: Path
    statuses: set[int]
    said: str
    renewed: subprocess.CompletedProcess[str]
    kept: dict
    lost: list[dict]
    made: list[dict]
    synced_since: list[int]
    whole: dict
    in_step: int
    edited: int


def _write(served, token, number, go_on, made):
    while not go_on.is_set():
        response = served.request("POST", "/api/me/tasks", token, {"title": f"{number}", "tags": ["a", "b"]})
        made.append(response.status)


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    directory = tmp_path_factory.mktemp("life")
    with Served(directory, TODO_JWT_SECRET=SECRET) as served:
        go_on, statuses = threading.Event(), []
        writers = [
            threading.Thread(target=_write, args=(served, served.token(f"user-{number}"), number, go_on, statuses))
            for number in range(3)
        ]
        for writer in writers:
            writer.start()
        try:
            for number in range(COPIES):
                served.process.wait_until(lambda least=30 * (number + 1): len(statuses) >= least)
                ran = todo("backup", f"copy-{number}.db", cwd=directory, TODO_JWT_SECRET=SECRET)
                assert ran.returncode == 0, ran.stderr
        finally:
            go_on.set()
            for writer in writers:
                writer.join()
        ann = served.token("ann")
        kept = served.request("POST", "/api/me/tasks", ann, {"title": "kept"}).body
        ran = todo("backup", "copy.db", cwd=directory)
        assert ran.returncode == 0
        lost = [served.request("POST", "/api/me/tasks", ann, {"title": "lost"}).body for _ in range(3)]
        device = served.request("GET", "/api/me/changes", ann).body["revision"]
    for leftover in directory.glob("todo.db*"):
        leftover.unlink()
    shutil.copy(directory / "copy.db", directory / "todo.db")
    renewed = todo("renew", cwd=directory)
    with Served(directory, TODO_JWT_SECRET=SECRET) as served:
        made, synced = [], []
        for _ in range(4):  # more writes than were lost, so that the counter alone would tell the device nothing
            made.append(served.request("POST", "/api/me/tasks", ann, {"title": "new"}).body)
            synced.append(served.request("GET", f"/api/me/changes?since={device}", ann).status)
        whole = served.request("GET", "/api/me/changes", ann).body
        in_step = served.request("GET", f"/api/me/changes?since={whole['revision']}", ann).status
        never_was = {"If-Match": f'"{kept["revision"] + 1}"'}  # a revision that the restored task never had
        edited = served.request("PATCH", f"/api/me/tasks/{kept['id']}", ann, {"title": "x"}, never_was).status
    return Life(directory, set(statuses), ran.stdout, renewed, kept, lost, made, synced, whole, in_step, edited)


def test_copies_made_while_others_write_are_whole(life):
    assert life.statuses == {201}
    counts = []
    for number in range(COPIES):
        with closing(sqlite3.connect(life.directory / f"copy-{number}.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            for user, revision, count in copy.execute("SELECT id, revision, task_count FROM users").fetchall():
                found = copy.execute("SELECT count(*), max(revision) FROM tasks WHERE user_id = ?", [user]).fetchone()
                assert found == (count, revision)
            counts.append(copy.execute("SELECT count(*) FROM tasks").fetchone()[0])
    assert counts[0] >= 30
    assert counts == sorted(set(counts))


def test_a_copy_is_for_its_owner_only_and_says_what_a_restore_needs(life):
    assert stat.S_IMODE((life.directory / "copy.db").stat().st_mode) == 0o600
    assert "run todo renew before you start the service" in life.said
    assert not (life.directory / "copy.db.part").exists()


def test_after_a_restore_every_device_starts_anew_and_no_id_is_given_twice(life):
    assert life.renewed.returncode == 0, life.renewed.stderr
    assert life.renewed.stdout.startswith("4 user(s) renewed:")
    assert life.synced_since == [410] * 4
    assert min(task["id"] for task in life.made) > max(task["id"] for task in life.lost)
    assert [task["title"] for task in life.whole["tasks"]].count("kept") == 1
    assert life.in_step == 200
    assert life.whole["revision"] > life.lost[-1]["revision"]
    assert life.edited == 412


@pytest.mark.parametrize(
    ("settings", "file", "says"),
    [
        ({}, "new.db", "cannot be opened"),
        ({"TODO_DATABASE_URL": "memory:"}, "new.db", "memory"),
        ({"TODO_DATABASE_URL": "postgresql://ann:secret@nowhere/todo"}, "new.db", "pg_dump"),
        ({"TODO_DATABASE_URL": "sqlite:///there.db"}, "there.db", "exists already"),
        ({"TODO_DATABASE_URL": "sqlite:///there.db"}, "no/such/folder.db", "cannot be written"),
        ({"TODO_DATABASE_URL": "sqlite:///notes.txt"}, "new.db", "not a database"),
    ],
)
def test_what_cannot_be_copied_is_said_in_one_sentence_and_leaves_nothing(tmp_path, settings, file, says):
    sqlite3.connect(tmp_path / "there.db").close()
    (tmp_path / "notes.txt").write_text("Dear expectations, this is no database at all. " * 50)
    before = sorted(tmp_path.iterdir())
    ran = todo("backup", file, cwd=tmp_path, **settings)
    assert ran.returncode == 1
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "secret" not in ran.stderr
    assert sorted(tmp_path.iterdir()) == before


def _ran(program, url, *arguments):
    return subprocess.run(
        [binaries.find().directory / program, url, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=binaries.environment() | {"PGOPTIONS": ""},
    )


def test_a_dump_needs_a_role_that_row_level_security_does_not_bind(postgres_databases, postgres_database):
    refused = _ran("pg_dump", postgres_databases.url(postgres_database, postgres_databases.OWNER))
    assert refused.returncode != 0
    assert "row-level security" in refused.stderr


async def _create(url, title):
    async with aclosing(PostgresTasks(url)) as store:
        return (await TaskService(store).create(ANN, title=title)).task


async def test_a_restored_dump_serves_and_every_device_starts_anew(tmp_path, postgres_databases):
    server, dump = postgres_databases.server, tmp_path / "todo.dump"
    with postgres_databases.another() as before, postgres_databases.another() as after:
        await _create(postgres_databases.url(before), "kept")
        dumped = _ran("pg_dump", server.url(before), "--format=custom", f"--file={dump}")
        assert dumped.returncode == 0, dumped.stderr
        lost = await _create(postgres_databases.url(before), "lost")
        restored = _ran("pg_restore", str(dump), "--clean", "--if-exists", f"--dbname={server.url(after)}")
        assert restored.returncode == 0, restored.stderr
        owner = postgres_databases.url(after, postgres_databases.OWNER)
        renewed = await asyncio.to_thread(todo, "renew", cwd=tmp_path, TODO_DATABASE_URL=owner)
        assert (renewed.returncode, renewed.stdout[:18]) == (0, "1 user(s) renewed:"), renewed.stderr
        made = await _create(postgres_databases.url(after), "new")
        assert made.id > lost.id
        async with aclosing(PostgresTasks(postgres_databases.url(after))) as store:
            tasks = TaskService(store)
            with pytest.raises(Resync):  # a device that had seen what was lost
                await tasks.changes(ANN, since=lost.revision)
            assert [task.title for task in (await tasks.list(ANN)).tasks] == ["new", "kept"]
