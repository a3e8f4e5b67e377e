"""A Citus cluster on the loopback address, a coordinator and two nodes.

It needs TODO_TEST_PG_BIN to name programs of PostgreSQL with Citus, which comes with no package of this project.
Without them, `tests/conftest.py` leaves the tests out that need a cluster.
"""

from pathlib import Path
from typing import Final, LiteralString, Self

from psycopg import sql

from servers import binaries
from servers.postgres import SUPERUSER, PostgresServer
from servers.processes import LOOPBACK

_SETTINGS: Final = {"shared_preload_libraries": "citus"}
_RECIPE: Final = Path(__file__).parents[2] / "deploy" / "citus.sql"
_NODES: Final = 2
_SHARDS: Final = 4
"""Shards of a table: two on each node, so that users share shards, nodes, and neither. Few are made sooner."""


def recipe() -> str:
    """Return the statements of the recipe that spreads the tables over the nodes, with fewer shards."""
    return _RECIPE.read_text().replace("shard_count := 32", f"shard_count := {_SHARDS}")


def server() -> PostgresServer:
    """Return a server for tests that do not care which: a cluster's coordinator if there is Citus, else PostgreSQL."""
    return Coordinator() if binaries.have_citus() else PostgresServer()


class Coordinator(PostgresServer):
    """A coordinator with nodes of its own, which live as long as it does.

    Every database is made on all of them, and knows the nodes. The nodes trust everybody on the loopback address, as
    the coordinator connects to them without a password.
    """

    def __init__(self) -> None:
        super().__init__(settings=_SETTINGS)
        self.nodes = tuple(PostgresServer(settings=_SETTINGS, trusting=True) for _ in range(_NODES))

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.__enter__()
        return super().__enter__()

    def close(self) -> None:
        """Stop all servers, and remove their clusters and every other trace of them."""
        super().close()
        for node in self.nodes:
            node.close()

    def create_role(self, name: str, password: str, attributes: LiteralString = "NOSUPERUSER NOBYPASSRLS") -> None:
        """Create a role that may log in with this password everywhere, and has these attributes."""
        for node in self.nodes:
            node.create_role(name, password, attributes)
        super().create_role(name, password, attributes)

    def create_database(self, name: str, template: str | None = None, *, owner: str = SUPERUSER) -> None:
        """Create a database that knows the nodes, or a copy of one to which only Citus itself may be connected."""
        if template is not None:
            for server in (self, *self.nodes):
                server.terminate_connections(template)  # Citus has a daemon in every database
        for node in self.nodes:
            node.create_database(name, template, owner=owner)
        super().create_database(name, template, owner=owner)
        if template is None:
            for node in self.nodes:
                node.execute("CREATE EXTENSION citus", database=name)
            self.execute("CREATE EXTENSION citus", database=name)
            self.execute(f"SELECT citus_set_coordinator_host('{LOOPBACK}', {self.port})", database=name)
            for node in self.nodes:
                self.execute(f"SELECT citus_add_node('{LOOPBACK}', {node.port})", database=name)
        else:
            self.propagate(name)

    def drop_database(self, name: str) -> None:
        """Drop a database everywhere, and the connections to it; a missing one is no error."""
        super().drop_database(name)
        for node in self.nodes:
            node.drop_database(name)

    def distribute(self, database: str) -> None:
        """Spread the tables of a migrated database over the nodes, as operations.md tells operators to."""
        self.execute(recipe(), database=database)

    def propagate(self, database: str, commands: str = "local") -> None:
        """Set what the recipe sets for a database, which a copy of the database does not have."""
        statement = sql.SQL("ALTER DATABASE {} SET citus.propagate_set_commands = {}")
        self.execute(statement.format(sql.Identifier(database), sql.Literal(commands)))
