"""`todo token --suggest`: prints the settings that accept a given token."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from todo_adapters.auth.claims import CLIENT_CLAIMS, LONGEST_LIFETIME
from todo_adapters.auth.compact import header_problem
from todo_adapters.auth.discovery import Discovery
from todo_adapters.auth.key_set import KEY_SET_ALGORITHMS
from todo_adapters.auth.keys import ALIASES
from todo_adapters.auth.loading import CannotLoad
from todo_app.commands.known_issuers import known_issuer
from todo_app.commands.pasted_token import by_content, by_sight, pasted_token, unverified
from todo_app.identity import fetcher_of

if TYPE_CHECKING:
    from todo_app.settings import Settings

DEADLINE: Final = 10.0
"""Seconds for fetching the discovery document."""

_FOREVER: Final = 366 * 86_400
"""Seconds; TODO_JWT_MAX_LIFETIME must be less."""

_USERS: Final = ("uid", "oid", "user_id", "userId", "uuid", "id")
"""Claims that may name the user if there is no `sub`."""


def suggest(settings: Settings, text: str) -> bool:
    """Print the settings for tokens like the one in `text`, with comments; return whether such tokens can be accepted.

    Lines that begin with # are for people, the others for a .env file. The token is not verified. Only the discovery
    document of its issuer is fetched, after a line that announces it.
    """
    token = pasted_token(text)
    if (sight := by_sight(token)) is not None:
        print(f"# {sight}")
        return False
    if (read := unverified(token)) is None:
        print("# This has three segments, but they are not the base64url of JSON objects: copy the whole token.")
        return False
    header, claims = read
    fit = True
    for problem in _problems(header, claims):
        print(f"# This token cannot be accepted: {problem}")
        fit = False
    if (kind := by_content(claims)) is not None:
        print(f"# {kind}")
    for line in [*_keys(settings, header, claims), *_claims(claims)]:
        print(line)
    return fit


def _problems(header: Mapping[str, Any], claims: Mapping[str, Any]) -> Iterator[str]:
    algorithm = ALIASES.get(str(header.get("alg")), str(header.get("alg")))
    if algorithm not in KEY_SET_ALGORITHMS | {"HS256"}:
        taken = ", ".join(sorted(KEY_SET_ALGORITHMS))
        yield f"its alg is {_word(algorithm)}; let the provider sign with one of {taken}, or with HS256"
    elif (problem := header_problem(header)) is not None:
        yield problem
    if not isinstance(claims.get("exp"), int | float):
        yield "it has no exp, so it would be valid forever"


def _keys(settings: Settings, header: Mapping[str, Any], claims: Mapping[str, Any]) -> Iterator[str]:
    issuer = claims.get("iss")
    if header.get("alg") == "HS256":
        yield "# HS256: set this to the secret that the issuer signs with, at least 32 bytes."
        yield "TODO_JWT_SECRET="
        if isinstance(issuer, str):
            yield _line("TODO_JWT_ISSUER", issuer)
        return
    if not isinstance(issuer, str):
        yield "# The token has no iss, which a key set needs: configure the provider to include one."
        return
    yield _line("TODO_JWT_ISSUER", issuer)
    plain = re.match("http://([^/:]+)", issuer)
    if (known := known_issuer(issuer)) is not None:
        yield f"# This is {known.name}{known.note and ': '}{known.note}."
        if known.key_url:
            yield _line("TODO_JWKS_URL", known.key_url)
    elif plain and plain[1] not in {"localhost", "127.0.0.1"}:
        yield "# Plain http: only on a network of your own, such as that of compose."
        yield _line("TODO_JWKS_HTTP_HOSTS", plain[1])
    else:
        yield from _discovered(settings, issuer, claims)


def _discovered(settings: Settings, issuer: str, claims: Mapping[str, Any]) -> Iterator[str]:
    try:
        discovery = Discovery(issuer, fetcher_of(settings))
    except ValueError as problem:
        yield f"# The issuer {problem} for its keys to be discovered. Where does the provider publish them?"
        yield "TODO_JWKS_URL="
        return
    yield f"# Fetching {ascii(discovery.document)[1:-1]}"
    try:
        asyncio.run(asyncio.wait_for(discovery.discover(), DEADLINE))
    except (CannotLoad, TimeoutError) as problem:
        yield f"# Its keys were not discovered now: {str(problem) or 'too slow'}."
        if claims.get("aud") == issuer:
            yield "# Issuer and audience are the same, as with Better Auth's JWT plugin, which has its keys here:"
            yield _line("TODO_JWKS_URL", issuer.removesuffix("/") + "/api/auth/jwks")
        else:
            yield "# If the provider has no discovery document, set TODO_JWKS_URL to where it publishes its keys."
    else:
        yield "# Its keys are discovered from the issuer."


def _claims(claims: Mapping[str, Any]) -> Iterator[str]:
    yield from _audience(claims)
    yield from _user(claims)
    begin, end = claims.get("iat"), claims.get("exp")
    if isinstance(begin, int | float) and isinstance(end, int | float) and LONGEST_LIFETIME < end - begin < _FOREVER:
        yield "# The token is valid for long and cannot be revoked before it expires: a shorter lifetime is safer."
        yield f"TODO_JWT_MAX_LIFETIME={int(end - begin) + 1}"


def _audience(claims: Mapping[str, Any]) -> Iterator[str]:
    found = claims.get("aud", [])
    audiences = [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, str)]
    # Auth0 adds its own user information, and Keycloak gives every client the audience account.
    meant = [one for one in audiences if not one.endswith("/userinfo") and one != "account"]
    if meant[1:]:
        yield f"# The token is for {', '.join(map(_word, meant[1:]))} as well: which of them stands for this service?"
    if meant:
        yield _line("TODO_JWT_AUDIENCE", meant[0])
    elif audiences:
        yield f"# Every application gets the audience {_word(audiences[0])}: let it add one of your own."
        yield _line("TODO_JWT_AUDIENCE", audiences[0])
    if audiences:
        return
    clients = [claims[name] for name in CLIENT_CLAIMS if isinstance(claims.get(name), str)]
    yield "# The token has no audience. It is better to configure one at the provider, so that tokens for others"
    yield "# are refused. Without an audience, the service checks the client that the token was issued to."
    yield "TODO_JWT_AUDIENCE=none"
    if not clients:
        yield "# It names no client either: any is safe only if the keys belong to this application alone."
    yield _line("TODO_JWT_CLIENTS", *(dict.fromkeys(clients) or ["any"]))


def _user(claims: Mapping[str, Any]) -> Iterator[str]:
    subject = claims.get("sub")
    if isinstance(claims.get("uid"), str) and "cid" in claims:
        yield "# Okta: sub is the login name, which another person may get later; a uid is never reused."
        yield "TODO_JWT_USER_CLAIM=uid"
    elif not isinstance(subject, str):
        other = [name for name in _USERS if isinstance(claims.get(name), str)]
        yield "# The token has no sub. Name a claim that identifies the user and is never given to two people."
        yield f"TODO_JWT_USER_CLAIM={other[0] if other else ''}"
    elif "@" in subject:
        yield "# sub looks like an e-mail address, which another person may get later: prefer another claim."


def _line(variable: str, *values: str) -> str:
    """Return a line of a .env file, or a comment if a character of the value is special there or in a shell."""
    if all(re.fullmatch(r"[A-Za-z0-9._~:/?#@+=%-]+", value) for value in values):
        return f"{variable}={' '.join(values)}"
    return f"# {variable} would be {', '.join(map(_word, values))}; it has special characters, so check it first."


def _word(text: str) -> str:
    """Return a value of the token as one printable word."""
    return ascii(text)[:200]
