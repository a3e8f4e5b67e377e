"""The command line: `todo serve | migrate | token | doctor | backup | renew | copy | erase | purge | openapi`."""

from __future__ import annotations

import argparse
import sys
import textwrap
from contextlib import closing, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from signal import SIGPIPE
from typing import TYPE_CHECKING

from todo_adapters.sql.addresses import database_url
from todo_adapters.sql.schema import SqlError
from todo_app.compose import audit_of
from todo_app.serving import CannotStart, note_migration, report, serve
from todo_app.settings import BadSetting, read_settings
from todo_app.settings.identity import FETCHING
from todo_app.settings.table import rows
from todo_app.signing import sign
from todo_app.standard_streams import OutputError, open_closed_streams, output_checked
from todo_domain import Invalid, user_id
from todo_domain.ports import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from todo_adapters.sql.addresses import Database
    from todo_app.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0, or 1 after a sentence on standard error that says what is wrong.

    It is 141, without a sentence, if the reader of standard output ends before the command: what a shell reports of
    SIGPIPE.
    """
    open_closed_streams()
    try:
        with output_checked():
            return _run(_parser().parse_args(argv))
    except OutputError as problem:
        return 128 + SIGPIPE if problem.unread else report(problem)


def _run(arguments: argparse.Namespace) -> int:
    overrides = {name: value for name, value in vars(arguments).items() if name.startswith("TODO_") and value}
    try:
        # These two commands need no settings but those for fetching.
        elsewhere = getattr(arguments, "suggest", False) or getattr(arguments, "attack", None)
        only = FETCHING if elsewhere else None
        settings = read_settings(overrides, only=only)
        for name, value in overrides.items():
            _hand_on(name, value)
        _warn_of_passwords(settings, arguments, overrides)
        return int(arguments.run(settings, arguments) or 0)
    except (BadSetting, CannotStart, SqlError, Invalid) as problem:
        return report(problem)
    except KeyboardInterrupt:
        return 130


def _hand_on(name: str, value: str) -> None:
    """Put an option into the environment, which worker processes read again."""
    import os  # noqa: PLC0415  writes for child processes; only settings.py reads

    os.environ[name] = value


def _warn_of_passwords(settings: Settings, arguments: argparse.Namespace, overrides: Mapping[str, str]) -> None:
    copies = hasattr(arguments, "origin")
    if "TODO_DATABASE_URL" in overrides:
        option = "--to" if copies else "--database-url"
        _warn_of_a_password(option, settings.database, "set TODO_DATABASE_URL instead")
    if copies:
        with suppress(ValueError):  # the command itself reports a URL that cannot be understood
            _warn_of_a_password("--from", database_url(arguments.origin), "put the password into ~/.pgpass instead")


def _warn_of_a_password(option: str, database: Database, instead: str) -> None:
    from todo_adapters.sql.postgres.url import has_password  # noqa: PLC0415  SQLite needs no PostgreSQL driver

    if database.url and has_password(database.url):
        seen = f"every user of this machine sees the password of {option} in the list of processes (ps)"
        print(f"todo: {seen}: {instead}", file=sys.stderr)


def _serve(settings: Settings, _: argparse.Namespace) -> None:
    with suppress(KeyboardInterrupt):  # Ctrl-C is no failure, for which make would print an error
        serve(settings)


def _migrate(settings: Settings, arguments: argparse.Namespace) -> int:
    from todo_adapters.sql import migrations, schema  # noqa: PLC0415  Alembic is slow to import

    database = settings.database
    if database.kind == "memory":
        print("memory: needs no migration")
        return 0
    url = settings.direct_address
    if arguments.sql:
        print(migrations.offline_sql(url, to=arguments.to))
        return 0
    if arguments.check:
        found = migrations.current(url)
        behind = schema.missing(found, schema.head())
        print(f"{len(behind)} migration(s) to apply: {', '.join(behind)}" if behind else schema.place(found))
        return 1 if behind else 0
    with closing(audit_of(settings)) as audit:
        print(f"at {note_migration(audit, migrations.move(url, to=arguments.to))}")
    return 0


def _token(settings: Settings, arguments: argparse.Namespace) -> int:
    from todo_app.settings.machine_secret import kept_secret, machine_secret  # noqa: PLC0415  only here

    if arguments.suggest:
        from todo_app.commands.token_suggestion import suggest  # noqa: PLC0415  only this command needs it

        return 0 if suggest(settings, sys.stdin.read()) else 1
    if not arguments.explain and not 0 < arguments.ttl <= settings.jwt_max_lifetime:
        raise BadSetting(f"TODO_JWT_MAX_LIFETIME allows a --ttl from 1 to {settings.jwt_max_lifetime} seconds")
    if settings.needs_machine_secret:
        secret, file, made = (kept_secret if arguments.explain else machine_secret)(settings)
        settings = replace(settings, jwt_secrets=(secret,))
        if made:
            print(
                f"todo: {file.absolute()} did not exist, so a new secret was made: "
                "only a service started in this directory accepts this token",
                file=sys.stderr,
            )
    if arguments.explain:
        from todo_app.commands.token_explanation import explain  # noqa: PLC0415  only this command needs it

        return 0 if explain(settings, sys.stdin.read()) else 1
    if not settings.jwt_secrets:
        raise BadSetting("TODO_JWT_SECRET is not set: todo token signs with it; get a token from your provider")
    print(sign(settings, user_id(arguments.user), arguments.ttl))
    return 0


def _doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    if arguments.attack:
        from todo_app.commands.attack import attack  # noqa: PLC0415  only this command needs an HTTP client

        url, one, two = arguments.attack
        return 0 if attack(settings, url, (one, two), destructive=arguments.destructive) else 1
    from todo_app.commands.doctor import examine  # noqa: PLC0415  only this command needs it

    return 0 if examine(settings) else 1


def _backup(settings: Settings, arguments: argparse.Namespace) -> None:
    from todo_app.commands.backup import back_up  # noqa: PLC0415  only this command needs it

    target = Path(arguments.file)
    print(f"{target}: {back_up(settings.database, target):,} bytes, a copy of {settings.database.file}, checked")
    print("After a restore, run todo renew before you start the service.")


def _renew(settings: Settings, _: argparse.Namespace) -> None:
    from todo_app.commands.backup import renew  # noqa: PLC0415  only this command needs it

    print(renew(settings.direct_address, utc_now()))


def _copy(settings: Settings, arguments: argparse.Namespace) -> None:
    from todo_app.commands.copying import copy_data  # noqa: PLC0415  only this command needs it

    print(copy_data(arguments.origin, settings.direct_address))
    print("The copy continues the original: serve the copy, and do not serve the original again.")


def _erase(settings: Settings, arguments: argparse.Namespace) -> None:
    from todo_app.commands.erasing import erase  # noqa: PLC0415  only this command needs it

    user = user_id(arguments.user)
    erase(settings, user)
    print(f"erased: all data of {user!r} except the user id and the counter")


def _purge(settings: Settings, _: argparse.Namespace) -> None:
    from todo_app.commands.purging import purge_expired  # noqa: PLC0415  only this command needs it

    print(purge_expired(settings, utc_now()))


def _openapi(_: Settings, __: argparse.Namespace) -> None:
    from todo_adapters.http.openapi import openapi_json  # noqa: PLC0415  only this command needs it

    sys.stdout.write(openapi_json().decode() + "\n")


def _settings_help() -> str:
    """Return the table of settings for a terminal."""
    lines = ["settings, from the environment or a .env file:"]
    for row in rows().values():
        meaning = f"{row.help} ({row.default})".replace("`", "")
        lines += ["", f"  {', else '.join(row.variables)}", textwrap.indent(textwrap.fill(meaning, 72), " " * 6)]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="todo", description="The backend that keeps people's tasks for any front end."
    )
    parser.add_argument("--version", action="version", version=f"todo {version('todo')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    database = argparse.ArgumentParser(add_help=False)
    database.add_argument(
        "--database-url",
        dest="TODO_DATABASE_URL",
        metavar="URL",
        help="sqlite:///file, postgresql://… (without a password, which ps would show) or memory:",
    )

    command = commands.add_parser(
        "serve",
        parents=[database],
        help="serve the HTTP API",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_settings_help(),
    )
    command.add_argument("--host", dest="TODO_HOST", help="address to listen on (127.0.0.1)")
    command.add_argument("--port", dest="TODO_PORT", help="port to listen on (8000)")
    command.add_argument("--workers", dest="TODO_WORKERS", help="processes (1)")
    command.set_defaults(run=_serve)

    command = commands.add_parser("migrate", parents=[database], help="migrate the database to this release's schema")
    mode = command.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="only list the missing migrations; exit 1 if there are any")
    mode.add_argument("--sql", action="store_true", help="print the SQL from an empty database on, and run nothing")
    command.add_argument(
        "--to",
        default="head",
        metavar="REV",
        help="migrate to this revision (head); down drops what it lacks, base drops all tasks",
    )
    command.set_defaults(run=_migrate)

    command = commands.add_parser("token", parents=[database], help="sign a token, explain one, or suggest settings")
    mode = command.add_mutually_exclusive_group(required=True)
    mode.add_argument("--user", help="sign a token for this user id with the shared secret")
    mode.add_argument(
        "--explain", action="store_true", help="read a token on standard input, print each check and its result"
    )
    mode.add_argument(
        "--suggest", action="store_true", help="read a token on standard input, print settings that accept it"
    )
    command.add_argument("--ttl", type=int, default=3600, metavar="SECONDS", help="how long the token is valid (3600)")
    command.set_defaults(run=_token)

    command = commands.add_parser("doctor", parents=[database], help="check everything that serving needs")
    command.add_argument(
        "--attack",
        nargs=3,
        metavar=("URL", "TOKEN_A", "TOKEN_B"),
        help="try every operation of a running deployment across two of its users, on tasks made for this",
    )
    command.add_argument(
        "--destructive",
        action="store_true",
        help="with --attack: also try operations that erase a user's data; the users must have no tasks",
    )
    command.set_defaults(run=_doctor)

    command = commands.add_parser("backup", parents=[database], help="copy the SQLite file while it is served")
    command.add_argument("file", help="the copy, which must not exist yet")
    command.set_defaults(run=_backup)

    command = commands.add_parser(
        "renew", parents=[database], help="after a restore: make every device fetch its data anew"
    )
    command.set_defaults(run=_renew)

    command = commands.add_parser("copy", help="copy everything into another database, which must be empty")
    command.add_argument("--from", required=True, dest="origin", metavar="URL", help="the database to copy")
    command.add_argument(
        "--to", dest="TODO_DATABASE_URL", metavar="URL", help="the empty database (the one of the settings)"
    )
    command.set_defaults(run=_copy)

    command = commands.add_parser("erase", parents=[database], help="erase all data of a user")
    command.add_argument("--user", required=True, help="the user id, as in tokens")
    command.set_defaults(run=_erase)

    command = commands.add_parser("purge", parents=[database], help="remove what has expired of every user")
    command.set_defaults(run=_purge)

    command = commands.add_parser("openapi", help="print the OpenAPI document")
    command.set_defaults(run=_openapi)
    return parser


if __name__ == "__main__":
    sys.exit(main())
