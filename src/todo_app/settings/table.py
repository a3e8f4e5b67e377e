"""The table of settings: each field of `Settings` is a setting.

Its declaration has the variable, the parser, the default, the help sentence, and whether the `start` event shows it
(see `declaration.py`). README's table, `todo serve --help` and the `start` event are made from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from todo_adapters.auth.claims import LONGEST_LIFETIME
from todo_adapters.http.protocol.body import (
    DEFAULT_BATCH_LIMIT,
    DEFAULT_IMPORT_LIMIT,
    DEFAULT_LIMIT,
    DEFAULT_LIMIT_OF_ALL,
)
from todo_adapters.http.protocol.response_memory import DEFAULT_MOST
from todo_adapters.live import MOST_LISTENERS, MOST_PER_USER
from todo_adapters.sql.addresses import Database, database_url, postgresql_url
from todo_app.settings.declaration import Setting, plain, setting
from todo_app.settings.origins import origins
from todo_app.settings.parsers import choice, hosts, names, networks, number, rate, secrets, switch, user_claim
from todo_domain.owner import DEFAULT_QUOTA
from todo_domain.trash import LONGEST_TRASH_KEPT, TRASH_KEPT

_log_format: Callable[[str], Literal["console", "json"]] = choice("console", "json")
_log_level: Callable[[str], Literal["debug", "info", "warning", "error"]] = choice("debug", "info", "warning", "error")


class BadSetting(Exception):
    """A setting that cannot be used; `str()` is one sentence that names the variable and holds no secret."""


@dataclass(frozen=True, kw_only=True, repr=False, slots=True)
class Settings:
    """The settings of a deployment. Durations are in seconds, sizes in bytes."""

    database: Database = setting(
        "TODO_DATABASE_URL DATABASE_URL",
        database_url,
        Database(file=Path("todo.db")),
        "`sqlite:///file`, `postgresql://…` (also `postgres://`, `postgresql+psycopg://`), or `memory:` for trying out",
    )
    direct_url: str | None = setting(
        "TODO_DATABASE_DIRECT_URL",
        postgresql_url,
        None,
        "PostgreSQL without a pooler in between, for migrations and notifications",
        public=False,
        shown="the same",
    )
    pool_size: int = setting(
        "TODO_DATABASE_POOL_SIZE",
        number(3, 1_000),
        8,
        "connections to PostgreSQL for each worker, at least 3: one that short reads share, half of the others for "
        "writes, the rest for long reads",
    )
    jwt_secrets: tuple[str, ...] = setting(
        "TODO_JWT_SECRET",
        secrets,
        (),
        "one or more random HS256 secrets of at least 32 bytes, with spaces between; the first signs `todo token`. A "
        "guessable one is accepted on loopback only",
        public=False,
    )
    jwks_url: str | None = setting(
        "TODO_JWKS_URL",
        str,
        None,
        "the URL of your provider's keys (EdDSA, ES256, ES384, ES512, PS256, RS256). Without any URL, file or "
        "secret, it comes from the issuer's discovery document",
        public=False,
    )
    jwks_file: Path | None = setting(
        "TODO_JWKS_FILE", Path, None, "a file with the keys, instead of a URL; it is read again when it changes"
    )
    jwks_http_hosts: tuple[str, ...] = setting(
        "TODO_JWKS_HTTP_HOSTS",
        hosts,
        (),
        "hosts whose keys may come over plain http, such as a container's name, with spaces between; loopback may",
    )
    ca_file: Path | None = setting(
        "SSL_CERT_FILE", Path, None, "a file of PEM certificates: the only authorities to trust when keys are fetched"
    )
    https_proxy: str | None = setting(
        "HTTPS_PROXY https_proxy", str, None, "the proxy through which keys are fetched over https", public=False
    )
    no_proxy: str = setting(
        "NO_PROXY no_proxy", str, "", "hosts and domains to which the proxy is not used, with commas between"
    )
    jwt_issuer: tuple[str, ...] = setting(
        "TODO_JWT_ISSUER",
        names,
        (),
        "the exact value of `iss`; one or several, with spaces between; required with a key set",
    )
    jwt_audience: tuple[str, ...] = setting(
        "TODO_JWT_AUDIENCE",
        names,
        (),
        "a value that `aud` must be or contain; one or several, with spaces between; required with a key set; `none` "
        "accepts only tokens without an audience and requires `TODO_JWT_CLIENTS`",
    )
    jwt_clients: tuple[str, ...] = setting(
        "TODO_JWT_CLIENTS",
        names,
        (),
        "the clients whose tokens are accepted, with spaces between: a token must have `azp`, `client_id` or `cid`, "
        "and each that it has must name one of them; `any` if the key set belongs to one application alone",
    )
    jwt_user_claim: str = setting(
        "TODO_JWT_USER_CLAIM",
        user_claim,
        "sub",
        "the claim that names the user; the issuer must never give its value to two people",
    )
    jwt_max_lifetime: int = setting(
        "TODO_JWT_MAX_LIFETIME",
        number(60, 366 * 86_400),
        int(LONGEST_LIFETIME),
        "seconds; a token that is valid for longer is refused",
    )
    host: str = setting("TODO_HOST", str, "127.0.0.1", "the address to listen on")
    port: int = setting("TODO_PORT PORT", number(0, 65_535), 8000, "the port to listen on; many platforms set `PORT`")
    workers: int = setting("TODO_WORKERS", number(1, 256), 1, "processes that serve")
    keep_alive_seconds: int = setting(
        "TODO_KEEP_ALIVE_SECONDS",
        number(1, 3_600),
        65,
        "seconds that an idle connection is kept open: longer than the proxy does, or requests race with the close",
    )
    drain_seconds: int = setting(
        "TODO_DRAIN_SECONDS",
        number(0, 300),
        0,
        "seconds after SIGTERM in which requests are still served while readiness is 503",
    )
    trusted_proxies: tuple[str, ...] = setting(
        "TODO_TRUSTED_PROXIES", networks, (), "addresses or networks whose `X-Forwarded-For` is trusted"
    )
    cors_origins: tuple[str, ...] = setting(
        "TODO_CORS_ORIGINS",
        origins,
        (),
        "origins whose pages may call the API, such as `https://app.example.com` or `tauri://localhost`, with spaces "
        "between",
    )
    max_tasks_per_user: int = setting(
        "TODO_MAX_TASKS_PER_USER", number(1, 1_000_000), DEFAULT_QUOTA, "tasks of one user; a create beyond them is 409"
    )
    trash_days: int = setting(
        "TODO_TRASH_DAYS",
        number(0, LONGEST_TRASH_KEPT.days),
        TRASH_KEPT.days,
        "days for which a deleted task can be restored",
    )
    max_body_bytes: int = setting(
        "TODO_MAX_BODY_BYTES", number(1_024, 16_777_216), DEFAULT_LIMIT, "bytes of a request body; a longer one is 413"
    )
    max_batch_bytes: int = setting(
        "TODO_MAX_BATCH_BYTES",
        number(1_024, 16_777_216),
        DEFAULT_BATCH_LIMIT,
        "bytes of the body of a batch; a longer one is 413",
    )
    max_import_bytes: int = setting(
        "TODO_MAX_IMPORT_BYTES",
        number(1_024, 16_777_216),
        DEFAULT_IMPORT_LIMIT,
        "bytes of the body of an import; a longer one, or one longer than `TODO_MAX_BODIES_BYTES`, is 413",
    )
    max_bodies_bytes: int = setting(
        "TODO_MAX_BODIES_BYTES",
        number(1_048_576, 68_719_476_736),
        DEFAULT_LIMIT_OF_ALL,
        "bytes of request bodies that a worker holds at once, a quarter for one user; a body beyond them is 503",
    )
    max_answers_bytes: int = setting(
        "TODO_MAX_ANSWERS_BYTES",
        number(1_048_576, 68_719_476_736),
        DEFAULT_MOST,
        "bytes of lists and changes that a worker holds at once, plus one of any size; a long one waits for memory, "
        "then gets 503",
    )
    max_streams: int = setting(
        "TODO_MAX_STREAMS", number(1, 100_000), MOST_LISTENERS, "streams of `/events` and waits in one worker"
    )
    max_streams_per_user: int = setting(
        "TODO_MAX_STREAMS_PER_USER", number(1, 1_000), MOST_PER_USER, "the same for one user in one worker"
    )
    rate_limit_user: str | None = setting(
        "TODO_RATE_LIMIT_USER",
        rate,
        None,
        "requests of one user, such as `100/minute`; more are 429. "
        "Each worker counts separately, so N workers allow up to N times as many",
    )
    rate_limit_refused: str | None = setting(
        "TODO_RATE_LIMIT_REFUSED",
        rate,
        None,
        "requests without a valid token from one address (of IPv6, one /64), such as `20/minute`; more are 429 "
        "instead of 401; requests with a valid token are not limited. Each worker counts separately",
    )
    erase: bool = setting("TODO_ERASE", switch, True, "`off` makes erasing a user through the API 404")
    feeds: bool = setting("TODO_FEEDS", switch, True, "`off` makes the calendar feeds 404")
    audit_log: str = setting(
        "TODO_AUDIT_LOG", str, "stderr", "`stderr` or a file's path; one JSON line for each security event"
    )
    log_format: Literal["console", "json"] | None = setting(
        "TODO_LOG_FORMAT",
        _log_format,
        None,
        "the format of log lines: `console` or `json`",
        public=False,
        shown="`console` on a terminal, else `json`",
    )
    log_level: Literal["debug", "info", "warning", "error"] | None = setting(
        "TODO_LOG_LEVEL",
        _log_level,
        None,
        "the lowest level that is logged: `debug`, `info`, `warning` or `error`",
        public=False,
        shown="`warning` on a terminal, else `info`",
    )
    docs: bool = setting("TODO_DOCS", switch, True, "`off` hides `/docs` and `/openapi.json`")
    tracing: bool = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        lambda _: True,
        False,
        "where traces are sent, with the extra `otel`: see Tracing in docs/operations.md",
        shown="none",
    )

    @property
    def key_source(self) -> Literal["url", "file", "discovery"] | None:
        """Where the issuer's public keys come from; None for shared secrets alone."""
        if self.jwks_url:
            return "url"
        if self.jwks_file:
            return "file"
        return "discovery" if self.jwt_issuer and not self.jwt_secrets else None

    @property
    def needs_machine_secret(self) -> bool:
        """Whether neither secrets nor keys are configured to verify tokens with."""
        return not self.jwt_secrets and self.key_source is None

    @property
    def direct_address(self) -> str:
        """The database without a pooler in between, which commands of the owner need."""
        return self.direct_url or self.database.address

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
        """Show the settings in force, without secrets."""
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.public().items())})"

    def public(self) -> dict[str, str | int | None]:
        """Return the settings in force without their secrets."""
        secrets = f"{len(self.jwt_secrets)} shared secret(s)"
        key_set = {"url": "jwks", "file": "jwks file", "discovery": "jwks by discovery", None: ""}[self.key_source]
        identity = " and ".join([key_set] * bool(key_set) + [secrets] * bool(self.jwt_secrets or not key_set))
        shown = {name: plain(getattr(self, name)) for name, row in rows().items() if row.public}
        return {"identity": identity, "https_proxy": "set" if self.https_proxy else None, **shown}


def rows() -> dict[str, Setting]:
    """Return the table: each field of Settings with its declaration."""
    return {each.name: each.metadata["setting"] for each in fields(Settings)}
