"""The files of a SQLite deployment: nobody but their owner may use them, and the log does not stay large."""

import os
import stat
from contextlib import aclosing, closing

import pytest

from todo_adapters.sql import migrations
from todo_adapters.sql.sqlite.file import LARGEST_LOG, connect
from todo_adapters.sql.sqlite.store import SqliteTasks
from todo_app.commands.backup import back_up
from todo_app.settings import read_settings
from todo_domain import TaskService, user_id

ANN = user_id("ann")


@pytest.fixture(params=[0o022, 0o000, 0o002, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(directory):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


@pytest.mark.usefixtures("umask")
async def test_the_file_and_what_lies_beside_it_are_for_their_owner_alone_whatever_the_umask(tmp_path):
    file = tmp_path / "my tasks.db"
    database = read_settings(environment={"TODO_DATABASE_URL": f"sqlite:///{tmp_path}/my%20tasks.db"}).database
    migrations.upgrade(database.address)
    async with aclosing(SqliteTasks(file)) as store:
        await TaskService(store).create(ANN, title="x")
        beside = modes(tmp_path)
        assert {"my tasks.db", "my tasks.db-wal", "my tasks.db-shm"} <= beside.keys()
        back_up(database, tmp_path / "copy.db")
    migrations.downgrade(database.address, "base")
    found = {**beside, **modes(tmp_path)}
    assert {"copy.db", f"my tasks.db.at-{migrations.head()}"} <= found.keys()
    assert set(found.values()) == {0o600}, found


async def test_a_file_that_others_may_read_stays_as_it_is_and_its_copies_do_not(tmp_path):
    file = tmp_path / "todo.db"
    url = f"sqlite:///{file}"
    migrations.upgrade(url)
    async with aclosing(SqliteTasks(file)) as store:
        await TaskService(store).create(ANN, title="x")
    file.chmod(0o644)
    migrations.downgrade(url, "base")
    assert modes(tmp_path)["todo.db"] == 0o644
    assert {mode for name, mode in modes(tmp_path).items() if ".at-" in name} == {0o600}


def test_a_link_to_a_file_that_is_not_there_yet_makes_it_for_its_owner_alone(tmp_path):
    (tmp_path / "todo.db").symlink_to(tmp_path / "elsewhere.db")
    migrations.upgrade(f"sqlite:///{tmp_path}/todo.db")
    assert stat.S_IMODE((tmp_path / "elsewhere.db").stat().st_mode) == 0o600


def test_a_log_that_a_long_reader_let_grow_is_cut_afterwards(tmp_path):
    file = tmp_path / "todo.db"
    log = file.with_name("todo.db-wal")
    with closing(connect(file, create=True)) as writer, closing(connect(file)) as reader:
        writer.execute("CREATE TABLE filler (bytes BLOB)")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM filler").fetchone()
        for _ in range(3):
            writer.execute("INSERT INTO filler VALUES (zeroblob(?))", [LARGEST_LOG])
        assert log.stat().st_size > 2 * LARGEST_LOG
        reader.execute("COMMIT")
        for _ in range(3):
            writer.execute("INSERT INTO filler VALUES (zeroblob(10))")
        assert log.stat().st_size <= LARGEST_LOG
