"""Whom a deployment believes: the keys and the rules for tokens that its settings describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from todo_adapters.auth.claims import ClaimRules
from todo_adapters.auth.keys import KeySource, SharedSecrets
from todo_adapters.auth.verifier import Verifier
from todo_app.identity_settings import ANY_CLIENT, NO_AUDIENCE
from todo_app.settings import BadSetting

if TYPE_CHECKING:
    from todo_app.settings import Settings
    from todo_domain import AuditLog


def verifier_of(settings: Settings, audit: AuditLog) -> Verifier:
    """Return the verifier that the settings describe, or raise BadSetting if they describe none."""
    return Verifier(_keys(settings, audit), rules_of(settings))


def rules_of(settings: Settings) -> ClaimRules:
    """Return what the settings ask of a token's claims."""
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


def _keys(settings: Settings, audit: AuditLog) -> KeySource:
    if settings.jwks_url is not None:
        from todo_adapters.auth.jwks import JwksKeys  # noqa: PLC0415  shared secrets need no HTTP client

        try:
            return JwksKeys(settings.jwks_url, on_change=lambda keys: audit.record("key_set_changed", keys=keys))
        except ValueError as problem:
            raise BadSetting(f"TODO_JWKS_URL cannot be used: {problem}") from None
    if not settings.jwt_secrets:
        raise BadSetting("TODO_JWT_SECRET or TODO_JWKS_URL must be set: without one, nobody can prove who they are")
    try:
        return SharedSecrets([secret.encode() for secret in settings.jwt_secrets])
    except ValueError as problem:
        raise BadSetting(f"TODO_JWT_SECRET cannot be used: {problem}") from None
