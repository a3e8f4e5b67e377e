"""A SQLite file that fails under a running service, in one way after the other, as its users and operators see it.

The same promises as in `test_faults.py`. `pytest -s` prints the table.
"""

import contextlib
import os
import resource
import shutil
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.processes import ProcessEndedError
from support.breaking import filled, served, small_disk
from support.faulty import Examiner, Expected

OK, OUT = {200}, {503}


@dataclass
class Sqlite:
    """A file, maybe on a disk of its own, and the service."""

    file: Path
    disk: Path | None
    examiner: Examiner

    def run(self, statement):
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def files_end_at(self, size):
        """No file that the service writes may be longer."""
        pid = self.examiner.served.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
        yield
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sqlite")
    with small_disk(16) as disk:
        file = (disk or directory) / "todo.db"
        with served(directory, f"sqlite:///{file}", directory / "names") as service:
            examiner = Examiner(service)
            yield Sqlite(file, disk, examiner)
            examiner.require_consistency()
            print(f"\nSQLite {sqlite3.sqlite_version}: {examiner.table()}")  # noqa: T201  the figures, for -s


@contextmanager
def locked(it):
    with contextlib.closing(sqlite3.connect(it.file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def deleted(it):
    aside = it.file.with_name("aside.db")
    os.link(it.file, aside)
    it.file.unlink()
    yield
    aside.rename(it.file)


@contextmanager
def replaced(it):
    aside = it.file.with_name("aside.db")
    os.link(it.file, aside)
    shutil.copyfile(it.file, it.file.with_name("new.db")).replace(it.file)
    yield
    aside.replace(it.file)


@contextmanager
def disk_fails(it):
    with it.files_end_at(4096):
        yield


@contextmanager
def permissions_gone(it):
    it.file.chmod(0o444)
    it.file.parent.chmod(0o555)
    yield
    it.file.parent.chmod(0o755)
    it.file.chmod(0o644)


@contextmanager
def disk_full(it):
    if it.disk is None:
        pytest.skip("only root may mount a small disk; test_sqlite_store.py has a full disk for everybody")
    it.run("PRAGMA wal_checkpoint(TRUNCATE)")
    with filled(it.disk):
        yield


MOVED = "deleted or replaced"
SQLITE = {
    "locked by another process": (locked, Expected(OK, OUT, "locked by another program")),
    "file deleted": (deleted, Expected(OUT, OUT, MOVED)),
    "file replaced": (replaced, Expected(OUT, OUT, MOVED)),
    "disk fails to write": (disk_fails, Expected(OK, OUT, "disk failed", unknown=True, certain=False)),
    "file and directory made read-only": (permissions_gone, Expected(OK, {200, 201}, None)),  # what is open stays so
    "disk full": (disk_full, Expected(OK, OUT, "disk is full", certain=False)),
}


@pytest.mark.parametrize("name", SQLITE)
def test_a_fault_of_sqlites_file_is_told_in_time_and_over_at_once(sqlite, name):
    fault, expected = SQLITE[name]
    sqlite.examiner.examine(name, fault(sqlite), expected)


def test_a_file_that_cannot_be_written_is_refused_at_the_start(sqlite_place, tmp_path):
    assert sqlite_place.count("tasks", "ann") == 0
    (tmp_path / "todo.db").chmod(0o444)
    service = served(tmp_path, f"sqlite:///{tmp_path}/todo.db", tmp_path / "names")
    with service.process, pytest.raises(ProcessEndedError, match="cannot be written: check the permissions"):
        service.process.wait_for_port(service.port)
