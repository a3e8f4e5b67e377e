"""PgBouncer in front of a throw-away PostgreSQL, to see what a pooled connection string does to us."""

import os
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import pytest

from servers import scratch
from servers.postgres import SUPERUSER, PostgresServer
from servers.processes import LOOPBACK, ServerProcess, reserve_port

PoolMode = Literal["session", "transaction", "statement"]


def available() -> bool:
    """Whether a PgBouncer is installed."""
    return _program() is not None


def require() -> None:
    """Skip the test where no PgBouncer is installed; fail it in CI (CI=true), which has to have one."""
    if available():
        return
    sentence = "PgBouncer is not installed: `apt-get install pgbouncer` or `brew install pgbouncer` brings it"
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)


class PgBouncer:
    """A pooler for one database of a server; as a context manager, started on entry and gone on exit.

    `logins` are the roles it lets in, with the passwords they have on the server; the superuser is always among them.
    Clients authenticate with SCRAM to PgBouncer, and PgBouncer with SCRAM to the server. It opens at most `pool_size`
    server connections per role, and ends with the test run like the server itself.
    """

    def __init__(
        self,
        server: PostgresServer,
        database: str,
        pool_size: int = 2,
        pool_mode: PoolMode = "transaction",
        *,
        logins: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._server = server
        self._database = database
        self._logins = {SUPERUSER: server.password, **(logins or {})}
        self._settings = {
            "default_pool_size": str(pool_size),
            "pool_mode": pool_mode,
            # By default it would answer 15 s long with errors after the server was down for a moment.
            "server_login_retry": "0.1",
            **(settings or {}),
        }
        self._directory: Path | None = None
        self._process: ServerProcess | None = None
        self._port: int | None = None
        self._port_holder: socket.socket | None = None
        self._account: scratch.Account | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The TCP port on the loopback address."""
        if self._port is None:
            raise RuntimeError("PgBouncer has a port between its start and its stop")
        return self._port

    @property
    def log(self) -> str:
        """What PgBouncer has logged since its start."""
        return self._process.stderr if self._process else ""

    def url(self, user: str = SUPERUSER, password: str | None = None) -> str:
        """Return a postgresql:// URL of the pooled database, with the password of `logins` unless one is given."""
        secret = self._logins[user] if password is None else password
        login = f"{quote(user, safe='')}:{quote(secret, safe='')}"
        return f"postgresql://{login}@{LOOPBACK}:{self.port}/{quote(self._database, safe='')}"

    def start(self) -> None:
        """Start PgBouncer, and return once it accepts connections; RuntimeError where it is not installed."""
        if not available():
            raise RuntimeError("PgBouncer is not installed")
        if self._process is not None:
            raise RuntimeError("PgBouncer is already running")
        self._directory = directory = scratch.create()
        self._port, self._port_holder = reserve_port()
        configuration = directory / "pgbouncer.ini"
        configuration.write_text(self._configuration(directory / "users.txt"))
        (directory / "users.txt").write_text("".join(f"{_quoted(u)} {_quoted(p)}\n" for u, p in self._logins.items()))
        self._account = scratch.unprivileged()
        if self._account:
            self._account.own(directory)
        self._run()

    def _run(self) -> None:
        assert self._directory is not None
        self._process = ServerProcess(
            [_program() or "pgbouncer", self._directory / "pgbouncer.ini"],
            logs=self._directory,
            name="pgbouncer",
            cwd=self._directory,
            account=self._account,
        )
        self._process.wait_for_port(self.port)

    def restart(self) -> None:
        """Cut the clients off, and take new ones on the same port."""
        if self._process is None or self._port is None:
            raise RuntimeError("PgBouncer is not running")
        self._process.stop(signal.SIGTERM)
        self._run()

    def stop(self) -> None:
        """Stop PgBouncer, which cuts its clients off, and remove every trace of it; a stopped one is no error."""
        if self._process is not None:
            self._process.stop(signal.SIGTERM)
        if self._directory is not None:
            scratch.remove(self._directory)
        if self._port_holder is not None:
            self._port_holder.close()
        self._directory = self._process = self._port = self._port_holder = None

    def _configuration(self, users: Path) -> str:
        # Nothing in ignore_startup_parameters: psycopg sends none that PgBouncer minds, and the tests shall see that
        # PgBouncer refuses `options` in a connection string, as a hosted one does.
        settings = {
            "listen_addr": LOOPBACK,
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": users,  # in clear text, since PgBouncer has to log in with these passwords too
            "max_client_conn": 200,
            **self._settings,
        }
        lines = [
            "[databases]",
            f"{self._database} = host={LOOPBACK} port={self._server.port}",
            "[pgbouncer]",
            *(f"{name} = {value}" for name, value in settings.items()),
        ]
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _program() -> str | None:
    # Debian puts it where an ordinary user's PATH does not look.
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
