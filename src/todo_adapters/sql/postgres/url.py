"""Checks PostgreSQL's connection URLs for parts that libpq would misread or refuse; the messages repeat no secret.

libpq splits a URL at the first `@` or `/`, so a password with such a character ends up in the host, the port or the
name of the database, and libpq's messages then repeat it. See "Connection URIs" in the manual's chapter on libpq.
"""

from __future__ import annotations

import re
from typing import Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from todo_adapters.sql.percent import decoded

_SCHEMES: Final = ("postgresql", "postgres", "postgresql+psycopg")
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,62}")
_HOST: Final = re.compile(r"[\w.\-]+|[0-9A-Fa-f:.]+(%[\w.\-]+)?")
_WHITE: Final = re.compile(r"[\s\x00-\x1f\x7f]")
_OWN: Final = {"client_encoding", "replication"}
"""Parameters of libpq that would change how the service communicates with the database."""

_SEARCH_PATH: Final = "for a schema of its own write options=-csearch_path%3Dname"
_SIZE: Final = "set TODO_DATABASE_POOL_SIZE instead"
_POOLER: Final = "leave it out, a pooler is detected without it"
_PREPARED: Final = "leave it out, statements are prepared where the connection allows it"
_DEADLINE: Final = "leave it out, each request has a deadline of its own"
_TLS: Final = "write sslmode=require, or sslmode=verify-full with sslrootcert"

_MEANINGS: Final = {
    name: meaning
    for names, meaning in (
        ("schema currentschema search_path schemas", _SEARCH_PATH),
        ("connection_limit pool pool_size max_overflow pool_max_conns pool_min_conns max_connections", _SIZE),
        ("pgbouncer workaround pool_mode", _POOLER),
        ("statement_cache_size prepared_statement_cache_size prepared_statements", _PREPARED),
        ("statement_cache_mode preparethreshold default_query_exec_mode binary_parameters", _PREPARED),
        ("pool_timeout checkout_timeout socket_timeout sockettimeout query_timeout command_timeout", _DEADLINE),
        ("statement_timeout lock_timeout idle_in_transaction_session_timeout", _DEADLINE),
        ("pool_max_conn_lifetime pool_max_conn_idle_time pool_recycle conn_max_age", _DEADLINE),
        ("logintimeout timeout connecttimeout", "write connect_timeout=seconds"),
        ("ssl sslaccept ssl_require sslidentity sslfactory tls uselibpqcompat", _TLS),
        ("targetservertype", "write target_session_attrs=read-write"),
        ("applicationname", "write application_name"),
        ("encoding charset client_encoding", "leave it out, texts always travel as UTF-8"),
        ("replication", "leave it out, the service reads no replication stream"),
    )
    for name in names.split()
}
"""The replacements of parameters of other drivers and of hosts' panels, by their names in lower case."""


def libpq_url(text: str) -> str:
    """Return the URL with libpq's scheme, postgresql, if libpq parses it as intended.

    Raises ValueError with the rest of a sentence about the URL, which names parameters and repeats nothing else.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in _SCHEMES:
        raise ValueError("must begin with postgresql:// (or with sqlite:///, or be memory:, where those are possible)")
    _require_sound(rest)
    return f"postgresql://{rest}"


def has_password(url: str) -> bool:
    """Return whether a URL of `libpq_url` contains a password, of the login or of a TLS key."""
    return not {"password", "sslpassword"}.isdisjoint(conninfo_to_dict(url))


def _require_sound(rest: str) -> None:
    if _WHITE.search(rest):
        raise ValueError("has a space or a control character: write it percent-encoded, a space as %20")
    decoded(rest)
    credentials = re.match("[^@/]*@", rest)
    authority_and_more = rest[credentials.end() :] if credentials else rest
    authority_and_path, _, query = authority_and_more.partition("?")
    if "@" in authority_and_path:
        raise ValueError("has an @ or a / in its user or password: write @ as %40 and / as %2F")
    _require_known(query, quiet="@" in query)
    try:
        found = conninfo_to_dict(f"postgresql://{rest}")
    except psycopg.Error:
        raise ValueError("cannot be understood: write postgresql://user:password@host:5432/database") from None
    _require_hosts([each for each in str(found.get("host") or "").split(",") if each])
    _require_ports([each for each in str(found.get("port") or "").split(",") if each])
    if not re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", str(found.get("connect_timeout", "0"))):
        raise ValueError("has a connect_timeout that is not a number of seconds")


def _require_known(query: str, *, quiet: bool) -> None:
    """Raise ValueError for a parameter that libpq does not know; `quiet` leaves out its name."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} - _OWN
    for parameter in filter(None, query.split("&")):
        name, equals, value = parameter.partition("=")
        if (name in known and equals) or (name, value) == ("ssl", "true"):
            continue
        if quiet or not _PLAIN.fullmatch(name):
            raise ValueError("has parameters that cannot be understood: write ? in a user or password as %3F, @ as %40")
        if name in known:
            raise ValueError(f"has the parameter {name} without a value: write {name}=value")
        meaning = _MEANINGS.get(name.lower(), "leave it out")
        raise ValueError(f"has the parameter {name}, which the service does not accept: {meaning}")


def _require_hosts(hosts: list[str]) -> None:
    for host in hosts:
        if host.startswith(("/", "@")):  # a directory with a Unix-domain socket, or an abstract one
            continue
        try:
            host.encode("idna")  # resolving the name does this first
        except UnicodeError:
            pass
        else:
            if _HOST.fullmatch(host):
                continue
        raise ValueError(
            "has a host that cannot be a host name: percent-encode the special characters of user and password"
        )


def _require_ports(ports: list[str]) -> None:
    for port in ports:
        if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65_535:
            raise ValueError("has a port that is not a number from 1 to 65535")
