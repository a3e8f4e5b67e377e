"""A throw-away PostgreSQL server on the loopback address, for the tests that need a real one.

with PostgresServer() as server:
    server.create_database("todo")
    server.execute("CREATE TABLE task ()", database="todo")
"""

import contextlib
import os
import secrets
import signal
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Literal, LiteralString, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from servers import binaries, postmaster_file, process_table, scratch
from servers.processes import LOOPBACK, ProcessEndedError, ServerProcess, reserve_port

SUPERUSER = "postgres"

# Without fsync nothing is lost when the server crashes, only when the machine does.
DEFAULTS: Mapping[str, str] = MappingProxyType({"max_connections": "200", "fsync": "off"})
SINCE_16: Mapping[str, str] = MappingProxyType({"scram_iterations": "1"})
"""The tests connect thousands of times, and by default each client hashes the password 4,096 times over."""
DURABLE: Mapping[str, str] = MappingProxyType({"fsync": "on"})

StopMode = Literal["smart", "fast", "immediate"]
_STOP_SIGNALS: dict[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
_PORT_ATTEMPTS = 5


class PostgresServer:
    """A PostgreSQL server with a cluster of its own; as a context manager, started on entry and gone on exit.

    Clients reach it over TCP alone and need a password (SCRAM) unless it is `trusting`; the superuser's is generated.
    `settings` go on top of DEFAULTS: DURABLE, or any others. It keeps its port from the first start to `close`, and on
    Linux ends with the test run, even a killed one.
    """

    def __init__(self, *, settings: Mapping[str, str] | None = None, trusting: bool = False) -> None:
        self.password = secrets.token_urlsafe(16)
        self._trusting = trusting
        self._binaries = binaries.find()
        self._settings = {**DEFAULTS, **(SINCE_16 if self.major >= 16 else {}), **(settings or {})}
        self._directory: Path | None = None
        self._process: ServerProcess | None = None
        self._port: int | None = None
        self._port_holder: socket.socket | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What it is

    @property
    def major(self) -> int:
        """The major version: 15, 18, …"""
        return self._binaries.major

    @property
    def port(self) -> int:
        """The TCP port on the loopback address."""
        if self._port is None:
            raise RuntimeError("the server has a port from its first start to its close")
        return self._port

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self._running().pid

    @property
    def log(self) -> str:
        """What the server has logged since its last start."""
        return self._process.stderr if self._process else ""

    def url(
        self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None, *, port: int | None = None
    ) -> str:
        """Return a postgresql:// URL: by default with the superuser's password, and straight to the server's port."""
        login = f"{quote(user, safe='')}:{quote(self.password if password is None else password, safe='')}"
        return f"postgresql://{login}@{LOOPBACK}:{port or self.port}/{quote(database, safe='')}"

    # Its life

    def start(self) -> None:
        """Start the server, the first time on a new cluster and a free port, and return once it accepts connections."""
        if self._process and self._process.running:
            raise RuntimeError("the server is already running")
        if self._directory is None:
            self._directory = self._binaries.create_cluster(SUPERUSER, self.password, trusting=self._trusting)
        if self._port is None:
            self._launch_on_a_free_port(self._directory)
        else:
            self._launch(self._directory, self._port)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server as `pg_ctl stop -m` does, resuming it if it is paused; a stopped one is no error.

        "smart" waits until every client has left, "immediate" leaves the next start to recover from the log. What takes
        longer than 30 s is killed.
        """
        if self._process and self._process.running:
            _signal_all(_family(self._process.pid), signal.SIGCONT)
            self._process.stop(_STOP_SIGNALS[mode], seconds=30)

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop and start: every client loses its connection and finds the server again on the same port."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """Kill the postmaster and all its children at once, as when memory runs out; the next start recovers."""
        postmaster = self._running()
        self.pause()  # so that no child acts on the death of another
        children = process_table.children(postmaster.pid)
        _signal_all(children, signal.SIGKILL)
        postmaster.kill()
        process_table.wait_until_gone(children)  # until then their shared memory keeps a new server out

    def close(self) -> None:
        """Stop the server, and remove its cluster and every other trace of it."""
        self.stop("immediate")
        if self._directory is not None:
            postmaster_file.release_memory(self._directory / "data")
            scratch.remove(self._directory)
        if self._port_holder is not None:
            self._port_holder.close()
        self._directory = self._process = self._port = self._port_holder = None

    def pause(self, backend: int | None = None) -> None:
        """Freeze the backend with this process id, or else the whole server: it neither answers nor hangs up."""
        _signal_all(_family(self.pid) if backend is None else [backend], signal.SIGSTOP)

    def resume(self, backend: int | None = None) -> None:
        """Let go on what `pause` froze."""
        _signal_all(_family(self.pid) if backend is None else [backend], signal.SIGCONT)

    # What it holds

    def execute(
        self,
        query: str | sql.SQL | sql.Composed,
        parameters: Mapping[str, Any] | None = None,
        *,
        database: str = "postgres",
    ) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, in no transaction but its own, and return its rows if it has any."""
        statement = query.encode() if isinstance(query, str) else query
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def create_role(self, name: str, password: str, attributes: LiteralString = "NOSUPERUSER NOBYPASSRLS") -> None:
        """Create a role that may log in with this password, and has these attributes."""
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} {}")
        self.execute(statement.format(sql.Identifier(name), sql.Literal(password), sql.SQL(attributes)))

    def create_database(self, name: str, template: str | None = None, *, owner: str = SUPERUSER) -> None:
        """Create a database, as a copy of `template` if one is named, to which nobody may then be connected."""
        names = map(sql.Identifier, (name, template or "template1", owner))
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(*names))

    def drop_database(self, name: str) -> None:
        """Drop a database and the connections to it; a missing one is no error."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def terminate_connections(self, database: str) -> int:
        """End every connection to a database, as an administrator would, and return how many there were."""
        others = "FROM pg_stat_activity WHERE datname = %(name)s AND pid <> pg_backend_pid()"
        return len(self.execute(f"SELECT pg_terminate_backend(pid) {others}", {"name": database}))

    # How

    def _launch_on_a_free_port(self, directory: Path) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            port, holder = reserve_port()
            try:
                self._launch(directory, port)
            except BaseException as error:
                holder.close()
                clash = isinstance(error, ProcessEndedError) and "could not bind" in str(error)
                if not clash or attempt == _PORT_ATTEMPTS:
                    raise
            else:
                self._port, self._port_holder = port, holder
                return

    def _launch(self, directory: Path, port: int) -> None:
        # No unix socket: nobody uses it, and its path would limit the length of the directory's.
        options = {"listen_addresses": LOOPBACK, "port": port, "unix_socket_directories": "", **self._settings}
        arguments = [f"--{name}={value}" for name, value in options.items()]
        self._process = postmaster = ServerProcess(
            [self._binaries.postgres, "-D", directory / "data", *arguments],
            logs=directory,
            name="postgres",
            env=binaries.environment(),
            cwd=directory,
            account=scratch.unprivileged(),
            death_signal=signal.SIGQUIT,  # "immediate": the postmaster takes its children along
        )
        postmaster.wait_until(lambda: postmaster_file.says_ready(directory / "data", postmaster.pid), seconds=60)

    def _running(self) -> ServerProcess:
        if self._process is None or not self._process.running:
            raise RuntimeError("the server is not running")
        return self._process


def _family(postmaster: int) -> Iterator[int]:
    # Children are looked up after the postmaster has been dealt with: once frozen, it starts no further ones.
    yield postmaster
    yield from process_table.children(postmaster)


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # a child may end on its own meanwhile
            os.kill(pid, number)
