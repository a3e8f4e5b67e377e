"""The keys and the rules for tokens that the settings describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from todo_adapters.auth.claims import ClaimRules
from todo_adapters.auth.jwks import READ, JwksKeys
from todo_adapters.auth.key_sources import KeySources
from todo_adapters.auth.keys import KeySource, SharedSecrets
from todo_adapters.auth.loading import CannotLoad, KeyFile, KeyUrl, in_words
from todo_adapters.auth.verifier import Verifier
from todo_app.settings import BadSetting
from todo_app.settings.identity import ANY_CLIENT, NO_AUDIENCE, refuse_guessable

if TYPE_CHECKING:
    from pathlib import Path

    from todo_adapters.auth.fetching import Fetcher
    from todo_app.settings import Settings
    from todo_domain import AuditLog

T = TypeVar("T")


def verifier_of(settings: Settings, audit: AuditLog, named_key_sets: Mapping[str, JwksKeys] | None = None) -> Verifier:
    """Return the verifier that the settings describe; raise BadSetting if they have no keys or a guessable secret.

    `named_key_sets` is the result of `key_sets_of`, for a caller that needs it as well.
    """
    refuse_guessable(settings)
    key_sets = (key_sets_of(settings, audit) if named_key_sets is None else named_key_sets).values()
    secrets = [_secrets(settings)] if settings.jwt_secrets else []
    if not key_sets and not secrets:
        raise BadSetting(
            "TODO_JWT_ISSUER with TODO_JWT_AUDIENCE, TODO_JWKS_URL, TODO_JWKS_FILE or TODO_JWT_SECRET must be set: "
            "without keys or a secret, no token can be verified"
        )
    sources: list[KeySource] = [*secrets, *key_sets]
    return Verifier(sources[0] if len(sources) == 1 else KeySources(sources), rules_of(settings))


def rules_of(settings: Settings) -> ClaimRules:
    """Return the rules of the settings for a token's claims."""
    without_audience = settings.jwt_audience == NO_AUDIENCE
    any_client = settings.jwt_clients == ANY_CLIENT
    return ClaimRules(
        issuers=frozenset(settings.jwt_issuer),
        audiences=frozenset(() if without_audience else settings.jwt_audience),
        without_audience=without_audience,
        clients=frozenset(() if any_client else settings.jwt_clients),
        any_client=any_client,
        user_claim=settings.jwt_user_claim,
        max_lifetime=settings.jwt_max_lifetime,
    )


def key_sets_of(settings: Settings, audit: AuditLog) -> dict[str, JwksKeys]:
    """Return the key sets of the settings by the variable or issuer that names each. Raises BadSetting."""

    def changed(keys: int, **details: str) -> None:
        audit.record("key_set_changed", keys=keys, **details)

    if settings.jwks_file:
        return {"TODO_JWKS_FILE": JwksKeys(_file(settings.jwks_file), times=READ, on_change=changed)}
    if settings.jwks_url:
        url = _named("TODO_JWKS_URL", partial(KeyUrl, settings.jwks_url, fetcher_of(settings)))
        return {"TODO_JWKS_URL": JwksKeys(url, on_change=changed)}
    if settings.key_source is None:
        return {}
    from todo_adapters.auth.discovery import Discovery  # noqa: PLC0415  other sources do without

    fetcher = fetcher_of(settings)
    found = {issuer: _named("TODO_JWT_ISSUER", partial(Discovery, issuer, fetcher)) for issuer in settings.jwt_issuer}
    return {
        issuer: JwksKeys(discovery, on_change=partial(changed, issuer=issuer)) for issuer, discovery in found.items()
    }


def fetcher_of(settings: Settings) -> Fetcher:
    """Return the fetcher of keys, with the trusted authorities and the proxy of the settings. Raises BadSetting."""
    from todo_adapters.auth.fetching import Fetcher, trusting  # noqa: PLC0415  a key file and secrets need no HTTP client

    tls = _named("SSL_CERT_FILE", partial(trusting, settings.ca_file)) if settings.ca_file else None
    fetcher = partial(Fetcher, http_hosts=frozenset(settings.jwks_http_hosts), no_proxy=settings.no_proxy, tls=tls)
    return _named("HTTPS_PROXY", partial(fetcher, proxy=settings.https_proxy))


def _file(path: Path) -> KeyFile:
    file = KeyFile(path)
    try:
        file.read()
    except (CannotLoad, ValueError) as problem:
        raise BadSetting(f"TODO_JWKS_FILE cannot be used: {in_words(problem)}") from None
    return file


def _secrets(settings: Settings) -> SharedSecrets:
    try:
        return SharedSecrets([secret.encode() for secret in settings.jwt_secrets])
    except ValueError as problem:
        raise BadSetting(f"TODO_JWT_SECRET cannot be used: {problem}") from None


def _named(variable: str, make: Callable[[], T]) -> T:
    """Return the result of `make`; raise BadSetting with the variable's name for a ValueError."""
    try:
        return make()
    except ValueError as problem:
        raise BadSetting(f"{variable} {problem}") from None
