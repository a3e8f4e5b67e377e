"""Schema migrations: list them, find a database's revision, upgrade it. Concurrent callers are serialised."""

from __future__ import annotations

import threading
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from todo_adapters.sql.addresses import database_url
from todo_adapters.sql.schema import (
    BASE,
    HEAD,
    MigrationError,
    Moved,
    Needed,
    head,
    is_known,
    missing,
    revision_named,
)

if TYPE_CHECKING:
    import sqlalchemy as sa
    from alembic.config import Config

    from todo_adapters.sql.addresses import Database

_ALEMBIC: Final = threading.Lock()
"""Alembic keeps its state in a module, so a process can run one operation at a time."""


def current(url: str) -> str:
    """Return the revision of the database, `base` if it has none.

    Raises MigrationError, also if the tables do not match the revision, or are those of an unreleased version.
    """
    database = _database(url)
    if database.file is not None:
        from todo_adapters.sql.sqlite.commands import migration as sqlite_migration  # noqa: PLC0415  the other engine's driver is not needed

        return sqlite_migration.current(database.file)
    from todo_adapters.sql.postgres.commands import migration as postgres_migration  # noqa: PLC0415  SQLite needs no PostgreSQL driver

    return postgres_migration.current(database.url or "")


def pending(url: str) -> list[str]:
    """Return the revisions that the database lacks, oldest first; none for one that is ahead of this release.

    Raises MigrationError as `current` does.
    """
    return missing(current(url), head())


def require_free_names(url: str) -> None:
    """Raise MigrationError if another program's table has a name that a migration from `base` needs; do nothing else.

    This is the error with which such a migration would fail.
    """
    database = _database(url)
    if database.file is not None:
        from todo_adapters.sql.sqlite.commands import migration as sqlite_migration  # noqa: PLC0415  the other engine's driver is not needed

        sqlite_migration.require_free_names(database.file)
    else:
        from todo_adapters.sql.postgres.commands import migration as postgres_migration  # noqa: PLC0415  SQLite needs no PostgreSQL driver

        postgres_migration.require_free_names(database.url or "")


def upgrade(url: str, to: str = HEAD) -> str:
    """Upgrade the database to a revision and return its revision afterwards; a later revision is left unchanged.

    Concurrent callers are serialised: one upgrades, the others wait and find it done. On SQLite, a copy of a file with
    data is left beside it. Raises MigrationError if the database is out of reach, refuses, or is busy for a minute; for
    an unknown revision; and if tables are missing afterwards.
    """
    target = revision_named(to)
    return _migrate(url, lambda found: bool(missing(found, target)), "upgrade", target).after


def downgrade(url: str, to: str) -> str:
    """Downgrade the database to a revision or to `base`; return its revision afterwards."""
    return _down(url, revision_named(to)).after


def move(url: str, to: str = HEAD) -> Moved:
    """Migrate to a revision, up or down; return the revisions before and after."""
    target = revision_named(to)
    if to != HEAD and not missing(current(url), target):
        return _down(url, target)
    return _migrate(url, lambda found: bool(missing(found, target)), "upgrade", target)


def offline_sql(url: str, to: str = HEAD, since: str = BASE) -> str:
    """Return the SQL that leads from one revision to another, for an administrator to run. It needs no connection."""
    from alembic import command  # noqa: PLC0415  a fifth of a second

    sqlite = _database(url).file is not None
    output = StringIO()
    if not sqlite:
        output.write("SET lock_timeout = '200ms';\nSET statement_timeout = 0;\nSET row_security = off;\n\n")
    target, start = revision_named(to), revision_named(since)
    step = command.upgrade if missing(start, target) else command.downgrade
    with _ALEMBIC:
        step(_config(output, dialect="sqlite" if sqlite else "postgresql"), f"{start}:{target}", sql=True)
    return output.getvalue()


def scripts() -> Path:
    """Return the folder of the migrations: inside the installed package, or at the root of a checkout."""
    here = Path(__file__).resolve()
    for folder in (here.with_name("alembic"), here.parents[3] / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise MigrationError("the migrations are missing from this installation: install todo again")


def _down(url: str, target: str) -> Moved:
    return _migrate(url, lambda found: found != target and not missing(found, target), "downgrade", target)


def _migrate(url: str, needed: Needed, step: str, target: str) -> Moved:
    from alembic import command  # noqa: PLC0415  a fifth of a second, and serving needs none of it

    def change(connection: sa.Connection) -> None:
        with _ALEMBIC:
            getattr(command, step)(_config(StringIO(), connection=connection), target)

    def known(found: str) -> bool:
        if step == "downgrade" and not is_known(found):
            raise MigrationError(f"the database is at {found}, from a newer release: use its todo migrate")
        return needed(found)

    database = _database(url)
    if database.file is not None:
        from todo_adapters.sql.sqlite.commands import migration as sqlite_migration  # noqa: PLC0415  the other engine needs none of it

        return sqlite_migration.migrate(database.file, known, change)
    from todo_adapters.sql.postgres.commands import migration as postgres_migration  # noqa: PLC0415  SQLite needs no PostgreSQL driver

    return postgres_migration.migrate(database.url or "", known, change)


def _database(url: str) -> Database:
    """Return the SQL database that a URL names, or raise MigrationError."""
    try:
        database = database_url(url)
    except ValueError as error:
        raise MigrationError(f"the database URL {error}") from None
    if database.kind == "memory":
        raise MigrationError("memory: has no schema to migrate: name a file or a server in TODO_DATABASE_URL")
    return database


def _config(output: StringIO, **attributes: Any) -> Config:  # noqa: ANN401  what env.py takes
    from alembic.config import Config  # noqa: PLC0415  as above

    config = Config(output_buffer=output, attributes=attributes)
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return config
