"""Every setting there is. The environment is read here and nowhere else."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from msgspec import Struct

from todo_adapters.http.body import DEFAULT_LIMIT
from todo_domain.owner import DEFAULT_QUOTA

T = TypeVar("T")

SHORTEST_SECRET: Final = 32
"""Bytes of an HS256 secret at least (RFC 7518, section 3.2)."""

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


class BadSetting(Exception):
    """A setting that cannot be used; `str()` is one sentence that names the variable and holds no secret."""


class Database(Struct, frozen=True):
    """Where tasks are kept: a PostgreSQL URL, a SQLite file, or neither, for this process's memory."""

    url: str | None = None
    file: Path | None = None

    @property
    def kind(self) -> Literal["postgresql", "sqlite", "memory"]:
        """Which store serves it."""
        return "postgresql" if self.url else "sqlite" if self.file else "memory"

    def __repr__(self) -> str:
        """Show no user, password or host."""
        return f"sqlite:///{self.file}" if self.file else self.kind


class Settings(Struct, frozen=True, kw_only=True):
    """What a deployment can decide. Durations are in seconds, sizes in bytes."""

    database: Database
    direct_url: str | None
    pool_size: int
    jwt_secrets: tuple[str, ...]
    jwks_url: str | None
    jwt_issuer: str | None
    jwt_audience: str | None
    jwt_max_lifetime: int
    host: str
    port: int
    workers: int
    drain_seconds: int
    trusted_proxies: tuple[str, ...]
    cors_origins: tuple[str, ...]
    max_tasks_per_user: int
    max_body_bytes: int
    rate_limit_user: str | None
    rate_limit_refused: str | None
    audit_log: str
    log_format: Literal["console", "json"] | None
    log_level: Literal["debug", "info", "warning", "error"]
    docs: bool
    tracing: bool

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __repr__(self) -> str:
        """Show what is in force, and no secret."""
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.public().items())})"

    def public(self) -> dict[str, str | int | None]:
        """Return the settings in force without their secrets."""
        return {
            "database": repr(self.database),
            "pool_size": self.pool_size,
            "identity": "jwks" if self.jwks_url else f"{len(self.jwt_secrets)} shared secret(s)",
            "jwt_issuer": self.jwt_issuer,
            "jwt_audience": self.jwt_audience,
            "jwt_max_lifetime": self.jwt_max_lifetime,
            "host": self.host,
            "port": self.port,
            "workers": self.workers,
            "drain_seconds": self.drain_seconds,
            "trusted_proxies": " ".join(self.trusted_proxies),
            "cors_origins": " ".join(self.cors_origins),
            "max_tasks_per_user": self.max_tasks_per_user,
            "max_body_bytes": self.max_body_bytes,
            "rate_limit_user": self.rate_limit_user,
            "rate_limit_refused": self.rate_limit_refused,
            "audit_log": self.audit_log,
            "docs": "on" if self.docs else "off",
            "tracing": "on" if self.tracing else "off",
        }


def read_settings(overrides: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings: `overrides` before the environment before a `.env` file in the working directory.

    Raises BadSetting for the first variable that cannot be used. An empty variable counts as not set.
    """
    if environment is None:
        dotenv = {name: value for name, value in dotenv_values(".env").items() if value is not None}
        for name in dotenv.keys() - os.environ.keys():
            if name.startswith("OTEL_"):
                os.environ[name] = dotenv[name]  # OpenTelemetry's SDK reads the environment itself
        environment = dotenv | dict(os.environ)
    given = {name: value for name, value in {**environment, **(overrides or {})}.items() if value.strip()}

    def read(name: str, parse: Callable[[str], T], default: T) -> T:
        if name not in given:
            return default
        try:
            return parse(given[name].strip())
        except ValueError as problem:
            raise BadSetting(f"{name} {problem}") from None

    database = read("DATABASE_URL", _database, Database(file=Path("todo.db")))
    settings = Settings(
        database=read("TODO_DATABASE_URL", _database, database),
        direct_url=read("TODO_DATABASE_DIRECT_URL", _postgresql, None),
        pool_size=read("TODO_DATABASE_POOL_SIZE", _number(3, 1_000), 8),
        jwt_secrets=read("TODO_JWT_SECRET", _secrets, ()),
        jwks_url=read("TODO_JWKS_URL", str, None),
        jwt_issuer=read("TODO_JWT_ISSUER", str, None),
        jwt_audience=read("TODO_JWT_AUDIENCE", str, None),
        jwt_max_lifetime=read("TODO_JWT_MAX_LIFETIME", _number(60, 366 * 86_400), 86_400),
        host=read("TODO_HOST", str, "127.0.0.1"),
        port=read("TODO_PORT", _number(0, 65_535), 8000),
        workers=read("TODO_WORKERS", _number(1, 256), 1),
        drain_seconds=read("TODO_DRAIN_SECONDS", _number(0, 300), 0),
        trusted_proxies=read("TODO_TRUSTED_PROXIES", _networks, ()),
        cors_origins=read("TODO_CORS_ORIGINS", _origins, ()),
        max_tasks_per_user=read("TODO_MAX_TASKS_PER_USER", _number(1, 1_000_000), DEFAULT_QUOTA),
        max_body_bytes=read("TODO_MAX_BODY_BYTES", _number(1_024, 16_777_216), DEFAULT_LIMIT),
        rate_limit_user=read("TODO_RATE_LIMIT_USER", _rate, None),
        rate_limit_refused=read("TODO_RATE_LIMIT_REFUSED", _rate, None),
        audit_log=read("TODO_AUDIT_LOG", str, "stderr"),
        log_format=read("TODO_LOG_FORMAT", _choice("console", "json"), None),  # type: ignore[arg-type]  # one of these
        log_level=read("TODO_LOG_LEVEL", _choice("debug", "info", "warning", "error"), "info"),  # type: ignore[arg-type]  # one of these
        docs=read("TODO_DOCS", _choice("on", "off"), "on") == "on",
        tracing=_traced(given),
    )
    _check_together(settings)
    return settings


def _traced(given: Mapping[str, str]) -> bool:
    """Tell whether OpenTelemetry's own variables ask for traces to be sent; its SDK reads the rest of them itself."""
    disabled = given.get("OTEL_SDK_DISABLED", "").lower() == "true"
    unsent = given.get("OTEL_TRACES_EXPORTER", "").lower() == "none"
    endpoint = given.keys() & {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}
    return bool(endpoint) and not disabled and not unsent


def _check_together(settings: Settings) -> None:
    if settings.jwks_url and settings.jwt_secrets:
        raise BadSetting("TODO_JWKS_URL and TODO_JWT_SECRET exclude each other: set the one that your provider uses")
    if settings.jwks_url and not (settings.jwt_issuer and settings.jwt_audience):
        raise BadSetting(
            "TODO_JWKS_URL needs TODO_JWT_ISSUER and TODO_JWT_AUDIENCE beside it: others get tokens there too"
        )
    if settings.database.kind == "memory" and settings.workers > 1:
        raise BadSetting(
            "TODO_WORKERS must be 1 with memory: as the database, for each worker would have its own tasks"
        )
    if settings.direct_url and settings.database.kind != "postgresql":
        raise BadSetting("TODO_DATABASE_DIRECT_URL only goes with a PostgreSQL TODO_DATABASE_URL")


def _database(text: str) -> Database:
    if text in {"memory:", "memory://"}:
        return Database()
    if text.startswith("sqlite:///"):
        path = text.removeprefix("sqlite:///")
        if not path or path.startswith(":memory:"):
            raise ValueError("names no file: write sqlite:///todo.db, or memory: for none")
        return Database(file=Path(path))
    return Database(url=_postgresql(text))


def _postgresql(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise ValueError("must be sqlite:///file, postgresql://user:password@host/database or memory:")
    try:
        urlsplit(f"postgresql://{rest}").port  # noqa: B018  the property parses
    except ValueError:
        raise ValueError("has a port that is no number") from None
    return f"postgresql://{rest}"


def _secrets(text: str) -> tuple[str, ...]:
    secrets = tuple(text.split())
    for place, secret in enumerate(secrets, start=1):
        if len(secret.encode()) < SHORTEST_SECRET:
            which = "must be" if len(secrets) == 1 else f"must have a secret number {place} that is"
            raise ValueError(f"{which} at least {SHORTEST_SECRET} bytes long: make one with openssl rand -hex 32")
    return secrets


def _origins(text: str) -> tuple[str, ...]:
    for origin in text.split():
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"must be origins like https://app.example.com, with a space between two, not {origin!r}")
    return tuple(text.split())


def _networks(text: str) -> tuple[str, ...]:
    for network in text.split():
        try:
            ip_network(network)
        except ValueError:
            raise ValueError(f"must be IP addresses or networks, with a space between two, not {network!r}") from None
    return tuple(text.split())


def _rate(text: str) -> str:
    from todo_adapters.http.rate import parsed_limit  # noqa: PLC0415  the library is not needed without a limit

    parsed_limit(text)
    return text


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a number from {least} to {most}, not {text!r}")
        return int(text)

    return parse


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be {' or '.join(choices)}, not {text!r}")
        return text

    return parse
