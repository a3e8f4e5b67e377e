"""A PostgreSQL that fails under a running service, in one way after the other, as users and operators see it over HTTP.

Each fault: 503 with Retry-After in the contract's shape within 3 s, liveness 200 throughout, readiness with the reason,
and all is well within 1 s of the database's return. `pytest -s` prints the table.
"""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from servers import scratch
from servers.delay import DelayProxy
from servers.postgres import PostgresServer
from support.breaking import filled, served, small_disk
from support.faulty import Examiner, Expected, require_shape, token_of
from support.sql_places import PostgresDatabases
from todo_adapters.sql.migrations import upgrade

OK, MADE, OUT = {200}, {200, 201}, {503}
FINE = Expected(OK, MADE, None)
DOWN = Expected(OUT, OUT, "cannot be reached")
TURNED_AWAY = Expected(OUT, OUT, "turns this login away")


@dataclass
class Postgres:
    """A server, the way to it, the file that knows its name, and the service."""

    server: PostgresServer
    proxy: DelayProxy
    names: Path
    examiner: Examiner

    def run(self, statement):
        return self.server.execute(statement, database="todo")

    def backends(self):
        """The process ids of the service's connections."""
        return [pid for (pid,) in self.run("SELECT pid FROM pg_stat_activity WHERE application_name = 'todo'")]

    def hang_up(self):
        for pid in self.backends():
            self.run(f"SELECT pg_terminate_backend({pid}, 1000)")

    def hang_up_while_idle(self):
        """Return once the service can know of it: a write that met the end half-way would be of unknown outcome."""
        with self.proxy.passing_on_the_end():
            self.hang_up()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    directory = tmp_path_factory.mktemp("postgres")
    names = directory / "names"
    names.write_text("127.0.0.1")
    with PostgresServer() as server, DelayProxy(server.port, round_trip=0) as proxy:
        server.create_role(PostgresDatabases.LOGIN, "right", "NOSUPERUSER NOBYPASSRLS NOINHERIT")
        server.create_database("todo")
        upgrade(server.url("todo"))
        server.execute(f"GRANT todo_app TO {PostgresDatabases.LOGIN}")
        url = server.url("todo", PostgresDatabases.LOGIN, "right", port=proxy.port).replace(
            "127.0.0.1", "database.test"
        )
        with served(directory, url, names) as service:
            examiner = Examiner(service)
            yield Postgres(server, proxy, names, examiner)
            examiner.require_consistency()
            print(f"\nPostgreSQL {server.major}: {examiner.table()}")  # noqa: T201  the figures, for -s


@contextmanager
def refused(it):
    it.server.stop()
    it.proxy.refuse()
    yield
    it.proxy.restore()
    it.server.start()


@contextmanager
def crashed(it):
    with it.proxy.passing_on_the_end():  # as in `hang_up_while_idle`
        it.server.kill()
    yield
    it.server.start()


@contextmanager
def name_gone(it):
    it.names.write_text("")
    it.hang_up_while_idle()
    yield
    it.names.write_text("127.0.0.1")


@contextmanager
def other_password(it):
    it.run(f"ALTER ROLE {PostgresDatabases.LOGIN} PASSWORD 'changed'")
    it.hang_up_while_idle()
    yield
    it.run(f"ALTER ROLE {PostgresDatabases.LOGIN} PASSWORD 'right'")


@contextmanager
def no_slot(it):
    it.run(f"ALTER ROLE {PostgresDatabases.LOGIN} CONNECTION LIMIT 0")
    it.hang_up_while_idle()
    yield
    it.run(f"ALTER ROLE {PostgresDatabases.LOGIN} CONNECTION LIMIT -1")


@contextmanager
def killed_while_idle(it):
    assert it.backends()
    it.hang_up_while_idle()
    yield


@contextmanager
def killed_at_work(it):
    over = threading.Event()

    def kill():
        while not over.wait(0.02):
            it.hang_up()

    killing = threading.Thread(target=kill)
    killing.start()
    yield
    over.set()
    killing.join()


@contextmanager
def backends_frozen(it):
    pids = it.backends()
    for pid in pids:
        it.server.pause(pid)
    yield
    for pid in pids:
        it.server.resume(pid)


@contextmanager
def server_frozen(it):
    it.server.pause()
    yield
    it.server.resume()


@contextmanager
def network_frozen(it):
    it.proxy.freeze()
    yield
    it.proxy.restore()


@contextmanager
def network_cut(it):
    it.proxy.refuse()
    it.proxy.cut()
    yield
    it.proxy.restore()


@contextmanager
def users_locked(it):
    """Another session holds the rows of more users than there are places for writes; all of them write."""
    served = it.examiner.served
    users = [f"locked-{number}" for number in range(40)]
    tokens = [token_of(user) for user in users]
    with ThreadPoolExecutor(len(users)) as threads:
        create = ("POST", "/api/me/tasks")
        made = threads.map(lambda token: served.request(*create, token, {"title": "x"}).status, tokens)
        assert set(made) <= {201, 503}
        with psycopg.connect(it.server.url("todo")) as other:
            other.execute("SELECT FROM users WHERE id LIKE 'locked-%' FOR UPDATE")
            blocked = [threads.submit(served.request, *create, token, {"title": "y"}) for token in tokens]
            time.sleep(0.3)
            yield
    for each in blocked:
        if each.result().status != 201:
            require_shape(each.result())


@contextmanager
def table_locked(it):
    with psycopg.connect(it.server.url("todo")) as other:
        other.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def read_only(it):
    def reload(value):
        """A new process has the value once the server has told it to the others."""
        it.run("SELECT pg_reload_conf()")
        service = it.examiner.served.process
        service.wait_until(lambda: it.run("SHOW default_transaction_read_only") == [(value,)])

    it.run("ALTER SYSTEM SET default_transaction_read_only = on")
    reload("on")
    yield
    it.run("ALTER SYSTEM RESET default_transaction_read_only")
    reload("off")


@contextmanager
def raising(it, state, times):
    """Every write of a task raises this SQLSTATE, `times` times in all."""
    it.run("CREATE SEQUENCE tries")
    it.run(
        "CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
        f" IF nextval('tries') <= {times} THEN RAISE EXCEPTION USING ERRCODE = '{state}'; END IF;"
        " RETURN NEW; END $$"
    )
    it.run("CREATE TRIGGER trouble BEFORE INSERT OR UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION trouble()")
    yield
    it.run("DROP TRIGGER trouble ON tasks")
    it.run("DROP FUNCTION trouble")
    it.run("DROP SEQUENCE tries")


@contextmanager
def disk_full(it):
    """The tasks are on a disk without room; without the right to mount one, the server says what it would say then."""
    with small_disk(4, scratch.unprivileged()) as disk:
        if disk is None:
            with raising(it, "53100", ALWAYS):
                yield
            return
        it.run(f"CREATE TABLESPACE small LOCATION '{disk}'")
        it.run("ALTER TABLE tasks SET TABLESPACE small")
        with filled(disk):
            _fill_pages(it)
            yield
        it.run("ALTER TABLE tasks SET TABLESPACE pg_default")
        it.run("DROP TABLESPACE small")


def _fill_pages(it):
    """Take the room that is left inside the table, too."""
    it.run("INSERT INTO users VALUES ('filler', 1000000, 0, 0, now()) ON CONFLICT DO NOTHING")
    columns = "user_id, title, title_key, revision, created_at, updated_at"
    with contextlib.suppress(psycopg.errors.DiskFull):
        while True:
            row = "SELECT 'filler', 'x', 'x', 1 + count(*), now(), now() FROM tasks WHERE user_id = 'filler'"
            it.run(f"INSERT INTO tasks ({columns}) {row}")


ALWAYS = 1_000_000
POSTGRES = {
    "stopped, connections refused": (refused, DOWN),
    "crashed (kill -9)": (crashed, DOWN),
    "its name no longer resolves": (name_gone, DOWN),
    "password changed": (other_password, TURNED_AWAY),
    "no connection slot left": (no_slot, TURNED_AWAY),
    "connections killed while idle": (killed_while_idle, FINE),
    "connections killed again and again": (
        killed_at_work,
        Expected(OK | OUT, MADE | OUT, None, unknown=True, certain=False),
    ),
    "its processes for us frozen": (backends_frozen, Expected(OK | OUT, MADE | OUT, "", unknown=True)),
    "the whole server frozen": (server_frozen, Expected(OUT, OUT, "", unknown=True)),
    "network frozen": (network_frozen, Expected(OUT, OUT, "", unknown=True)),
    "network cut": (network_cut, DOWN),
    "rows of 40 users locked": (users_locked, Expected(OK, MADE | OUT, None, unknown=True, certain=False)),
    "table locked: statement timeout": (table_locked, Expected(OUT, OUT, "", unknown=True)),
    "read-only": (read_only, Expected(OK, OUT, "read-only")),
    "disk full": (disk_full, Expected(OK, MADE | OUT, None)),
    "deadlock (40P01), twice": (lambda it: raising(it, "40P01", 2), FINE),
    "serialisation failure (40001), twice": (lambda it: raising(it, "40001", 2), FINE),
    "serialisation failure, always": (lambda it: raising(it, "40001", ALWAYS), Expected(OK, OUT, None)),
}


@pytest.mark.parametrize("name", POSTGRES)
def test_a_fault_of_postgresql_is_told_in_time_and_over_at_once(postgres, name):
    fault, expected = POSTGRES[name]
    rounds = 20 if fault is killed_at_work else 1
    postgres.examiner.examine(name, fault(postgres), expected, rounds=rounds)
