"""A PostgreSQL behind a network of our own, and what befalls both."""

from __future__ import annotations

import contextlib
import time
from contextlib import ExitStack
from random import Random
from typing import Any, Self

import psycopg
from psycopg import sql

from chaos.faults import Fault, Lasting
from servers.delay import DelayProxy
from servers.postgres import PostgresServer
from support.sql_places import PostgresDatabases

_MINE = "FROM pg_stat_activity WHERE datname = 'todo_1' AND usename = 'todo_login'"


class PostgresStore:
    """A server with one migrated database, which the service reaches through a proxy by a login without rights."""

    workers = 2

    def __init__(self) -> None:
        # So soon that either of two may be the one that is given up, the service's or the other.
        self.server = PostgresServer(settings={"deadlock_timeout": "50ms"})
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.server)
        databases = PostgresDatabases(self.server)
        self.name = self._stack.enter_context(databases.another())
        self._proxy = self._stack.enter_context(DelayProxy(self.server.port, round_trip=0))
        login, password = databases.LOGIN, databases.PASSWORD
        self.url = self.server.url(self.name, login, password, port=self._proxy.port)
        self.direct_url = databases.url(self.name, databases.OWNER)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement past the service, as the superuser."""
        return self.server.execute(statement, database=self.name)

    def faults(self, lasting: Lasting) -> list[Fault]:
        """Return what can befall the server and the network."""
        server, proxy = self.server, self._proxy

        def stopped(random: Random) -> None:
            server.stop(random.choice(["fast", "immediate"]))
            lasting.hold(random)
            server.start()

        def killed(random: Random) -> None:
            server.kill()
            lasting.hold(random)
            server.start()

        def frozen(random: Random) -> None:
            server.pause()
            lasting.hold(random)
            server.resume()

        def terminated(random: Random) -> None:
            for _ in range(random.randint(1, 8)):
                server.terminate_connections(self.name)
                time.sleep(random.uniform(0, 0.1))

        def one_frozen(random: Random) -> None:
            if backends := self.query(f"SELECT pid {_MINE}"):
                ((backend,),) = random.sample(backends, 1)
                server.pause(backend)
                lasting.hold(random)
                with contextlib.suppress(ProcessLookupError):
                    server.resume(backend)

        def cut(random: Random) -> None:
            proxy.refuse()
            proxy.cut()
            lasting.hold(random)
            proxy.restore()

        def network_frozen(random: Random) -> None:
            proxy.freeze()
            lasting.hold(random)
            proxy.restore()

        return [
            Fault("server stopped", stopped),
            Fault("kill -9 of the server", killed),
            Fault("server frozen", frozen),
            Fault("connections terminated", terminated),
            Fault("one backend frozen", one_frozen),
            Fault("network cut", cut),
            Fault("network frozen", network_frozen),
            Fault("tables locked", lambda random: self._locked(random, lasting)),
            Fault("deadlocks", self._deadlocked),
            Fault("serialisation failures", lambda random: self._isolated(random, lasting)),
            Fault("read-only", lambda random: self._read_only(random, lasting)),
            Fault("tombstones grow old", lambda _: self._age()),
        ]

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.server.url(self.name), autocommit=True)

    def _locked(self, random: Random, lasting: Lasting) -> None:
        with self._connect() as connection, connection.transaction():
            lock = random.choice(["LOCK TABLE tasks", "LOCK TABLE users", "SELECT FROM users FOR UPDATE"])
            connection.execute(lock.encode())
            lasting.hold(random)

    def _deadlocked(self, random: Random) -> None:
        """Take a user's rows in the other order than the service does, again and again."""
        until = time.monotonic() + random.uniform(0.5, 1)
        with self._connect() as connection:
            users = [user for (user,) in connection.execute("SELECT id FROM users").fetchall()]
            while time.monotonic() < until:
                user = [random.choice(users)]
                with contextlib.suppress(psycopg.errors.DeadlockDetected), connection.transaction():
                    connection.execute("SELECT FROM tasks WHERE user_id = %s FOR UPDATE", user)
                    time.sleep(0.03)
                    connection.execute("SELECT FROM users WHERE id = %s FOR UPDATE", user)

    def _isolated(self, random: Random, lasting: Lasting) -> None:
        """Let transactions fail that would otherwise wait for each other."""
        database = sql.Identifier(self.name)
        level = random.choice(["repeatable read", "serializable"])
        setting = sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}").format(database, level)
        try:
            self.server.execute(setting)
            self.server.terminate_connections(self.name)
            lasting.hold(random)
        finally:
            self.server.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_isolation").format(database))
            self.server.terminate_connections(self.name)

    def _read_only(self, random: Random, lasting: Lasting) -> None:
        """Let the server take no writes, as a standby does."""
        try:
            self._reload("ALTER SYSTEM SET default_transaction_read_only = on")
            lasting.hold(random)
        finally:
            self._reload("ALTER SYSTEM RESET default_transaction_read_only")
            while self.server.execute("SHOW default_transaction_read_only") != [("off",)]:
                time.sleep(0.01)

    def _reload(self, statement: str) -> None:
        self.server.execute(statement)
        self.server.execute("SELECT pg_reload_conf()")

    def _age(self) -> None:
        self.query("UPDATE tombstones SET deleted_at = deleted_at - interval '100 days'")
