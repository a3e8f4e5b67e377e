"""`todo backup`: whole copies under load, one file each, and devices that start anew after a restore."""

import shutil
import sqlite3
import stat
import subprocess
import threading
from contextlib import closing

import pytest

from servers import binaries
from servers.todo import Served, todo

SECRET = "0123456789abcdef0123456789abcdef"


def _write(served, token, number, go_on, made):
    while not go_on.is_set():
        answer = served.request("POST", "/api/me/tasks", token, {"title": f"{number}", "tags": ["a", "b"]})
        made.append(answer.status)


def test_copies_made_while_others_write_are_whole(tmp_path):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        go_on, made = threading.Event(), []
        tokens = [served.token(f"user-{number}") for number in range(3)]
        writers = [
            threading.Thread(target=_write, args=(served, token, number, go_on, made))
            for number, token in enumerate(tokens)
        ]
        for writer in writers:
            writer.start()
        try:
            for number in range(4):
                served.process.wait_until(lambda least=30 * (number + 1): len(made) >= least)
                ran = todo("backup", f"copy-{number}.db", cwd=tmp_path, TODO_JWT_SECRET=SECRET)
                assert ran.returncode == 0, ran.stderr
        finally:
            go_on.set()
            for writer in writers:
                writer.join()
    assert set(made) == {201}
    counts = []
    for number in range(4):
        with closing(sqlite3.connect(tmp_path / f"copy-{number}.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            for user, revision, count in copy.execute("SELECT id, revision, task_count FROM users").fetchall():
                found = copy.execute("SELECT count(*), max(revision) FROM tasks WHERE user_id = ?", [user]).fetchone()
                assert found == (count, revision)
            counts.append(copy.execute("SELECT count(*) FROM tasks").fetchone()[0])
    assert counts[0] >= 30
    assert counts == sorted(set(counts))


def test_a_copy_is_for_its_owner_only_and_says_what_a_restore_needs(tmp_path):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET):
        ran = todo("backup", "copy.db", cwd=tmp_path)
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert "run todo renew before anybody is served" in ran.stdout
    assert not (tmp_path / "copy.db.part").exists()


def test_after_a_restore_every_device_starts_anew_and_no_id_is_given_twice(tmp_path):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        token = served.token("ann")
        kept = served.request("POST", "/api/me/tasks", token, {"title": "kept"}).body
        assert todo("backup", "copy.db", cwd=tmp_path).returncode == 0
        lost = [served.request("POST", "/api/me/tasks", token, {"title": "lost"}).body for _ in range(3)]
        device = served.request("GET", "/api/me/changes", token).body["revision"]
    for leftover in tmp_path.glob("todo.db*"):
        if leftover.suffix != ".secret":
            leftover.unlink()
    shutil.copy(tmp_path / "copy.db", tmp_path / "todo.db")
    renewed = todo("renew", cwd=tmp_path)
    assert (renewed.returncode, renewed.stdout[:18]) == (0, "1 user(s) renewed:"), renewed.stderr
    with Served(tmp_path, TODO_JWT_SECRET=SECRET) as served:
        made = []
        for _ in range(4):  # more writes than were lost, so that the counter alone would tell the device nothing
            made.append(served.request("POST", "/api/me/tasks", token, {"title": "new"}).body)
            assert served.request("GET", f"/api/me/changes?since={device}", token).status == 410
        assert min(task["id"] for task in made) > max(task["id"] for task in lost)
        whole = served.request("GET", "/api/me/changes", token).body
        assert [task["title"] for task in whole["tasks"]].count("kept") == 1
        assert served.request("GET", f"/api/me/changes?since={whole['revision']}", token).status == 200
        assert whole["revision"] > lost[-1]["revision"]
        stale = {"If-Match": f'"{kept["revision"] + 1}"'}  # which the restored task never had
        edited = served.request("PATCH", f"/api/me/tasks/{kept['id']}", token, {"title": "x"}, stale)
        assert edited.status == 412


@pytest.mark.parametrize(
    ("settings", "file", "says"),
    [
        ({}, "new.db", "cannot be opened"),
        ({"TODO_DATABASE_URL": "memory:"}, "new.db", "memory"),
        ({"TODO_DATABASE_URL": "postgresql://ann:secret@nowhere/todo"}, "new.db", "pg_dump"),
        ({"TODO_DATABASE_URL": "sqlite:///there.db"}, "there.db", "there already"),
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


def test_a_restored_dump_serves_and_every_device_starts_anew(tmp_path, postgres_databases):
    server = postgres_databases.server
    with postgres_databases.another() as before, postgres_databases.another() as after:
        settings = {"TODO_JWT_SECRET": SECRET}
        with Served(tmp_path, TODO_DATABASE_URL=postgres_databases.url(before), **settings) as served:
            token = served.token("ann")
            served.request("POST", "/api/me/tasks", token, {"title": "kept"})
            dump = tmp_path / "todo.dump"
            dumped = _ran("pg_dump", server.url(before), "--format=custom", f"--file={dump}")
            assert dumped.returncode == 0, dumped.stderr
            lost = served.request("POST", "/api/me/tasks", token, {"title": "lost"}).body
            device = served.request("GET", "/api/me/changes", token).body["revision"]
        restored = _ran("pg_restore", str(dump), "--clean", "--if-exists", f"--dbname={server.url(after)}")
        assert restored.returncode == 0, restored.stderr
        owner = postgres_databases.url(after, postgres_databases.OWNER)
        renewed = todo("renew", cwd=tmp_path, TODO_DATABASE_URL=owner)
        assert (renewed.returncode, renewed.stdout[:18]) == (0, "1 user(s) renewed:"), renewed.stderr
        with Served(tmp_path, TODO_DATABASE_URL=postgres_databases.url(after), **settings) as served:
            made = served.request("POST", "/api/me/tasks", token, {"title": "new"}).body
            assert made["id"] > lost["id"]
            assert served.request("GET", f"/api/me/changes?since={device}", token).status == 410
            titles = [task["title"] for task in served.request("GET", "/api/me/tasks", token).body]
            assert titles == ["new", "kept"]
