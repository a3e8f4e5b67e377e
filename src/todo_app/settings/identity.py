"""The settings about tokens together: contradictions, dangerous combinations, and notes for operators."""

from __future__ import annotations

from typing import Final

from todo_app.settings import guessing
from todo_app.settings.table import BadSetting, Settings

NO_AUDIENCE: Final = ("none",)
"""The value of TODO_JWT_AUDIENCE that accepts only tokens without an audience."""

ANY_CLIENT: Final = ("any",)
"""The value of TODO_JWT_CLIENTS that accepts tokens of every client of the key set."""

FETCHING: Final = frozenset({"jwks_http_hosts", "ca_file", "https_proxy", "no_proxy"})
"""The settings for fetching an issuer's documents."""


def check_identity(settings: Settings) -> None:
    """Raise BadSetting if the settings about tokens contradict each other or would accept tokens meant for others."""
    audience, clients = settings.jwt_audience, settings.jwt_clients
    if "none" in audience and audience != NO_AUDIENCE:
        raise BadSetting("TODO_JWT_AUDIENCE must be none alone, or a list of audiences without none")
    if audience == NO_AUDIENCE and not clients:
        raise BadSetting(
            "TODO_JWT_AUDIENCE=none needs TODO_JWT_CLIENTS: the clients whose tokens are accepted, or any if the "
            "key set belongs to one application alone"
        )
    if "any" in clients and clients != ANY_CLIENT:
        raise BadSetting("TODO_JWT_CLIENTS must be any alone, or a list of clients without any")
    if settings.jwks_url and settings.jwks_file:
        raise BadSetting("TODO_JWKS_URL and TODO_JWKS_FILE exclude each other: set one of them")
    if settings.key_source in {"url", "file"} and not (settings.jwt_issuer and audience):
        variable = "TODO_JWKS_URL" if settings.jwks_url else "TODO_JWKS_FILE"
        raise BadSetting(
            f"{variable} needs TODO_JWT_ISSUER and TODO_JWT_AUDIENCE: the same keys may sign tokens for others"
        )
    if settings.key_source == "discovery" and not audience:
        raise BadSetting("TODO_JWT_ISSUER needs TODO_JWT_AUDIENCE, so that keys are discovered, or TODO_JWT_SECRET")


def refuse_guessable(settings: Settings) -> None:
    """Raise BadSetting if others can reach the service and a shared secret can be guessed."""
    if settings.loopback:
        return
    for number, secret in enumerate(settings.jwt_secrets, start=1):
        if guessing.bits(secret) < guessing.ENOUGH:
            which = "" if len(settings.jwt_secrets) == 1 else f" number {number}"
            raise BadSetting(
                f"TODO_JWT_SECRET{which} can be guessed, and others can reach {settings.host}: "
                "make a random one with openssl rand -hex 32"
            )


def cautions(settings: Settings) -> list[str]:
    """Return the cautions for an operator about the tokens that are accepted, a sentence each."""
    found = []
    if settings.jwt_clients == ANY_CLIENT:
        found.append(
            "TODO_JWT_CLIENTS=any accepts tokens of every client: the key set must belong to one application alone"
        )
    if len(settings.jwt_issuer) > 1:
        found.append(
            "TODO_JWT_ISSUER names several issuers: they must have the same users, because the user is "
            f"{settings.jwt_user_claim} alone; otherwise give each issuer a deployment of its own"
        )
    return found


def way_to_keys(settings: Settings) -> list[str]:
    """Return the settings that affect how keys are fetched, a sentence each."""
    if settings.key_source in {None, "file"}:
        return []
    found = []
    if settings.https_proxy:
        found.append(f"keys are fetched through HTTPS_PROXY{', except for NO_PROXY' if settings.no_proxy else ''}")
    if settings.ca_file:
        found.append(f"SSL_CERT_FILE: only the authorities in {settings.ca_file} are trusted")
    if settings.jwks_http_hosts:
        found.append(f"TODO_JWKS_HTTP_HOSTS: keys may come over plain http from {' '.join(settings.jwks_http_hosts)}")
    return found
