"""`todo token`: signs tokens with the shared secret, or with the one made for this machine, and explains tokens."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import jwt

from todo_adapters.audit import AuditLines
from todo_adapters.auth.jwks import FETCHED
from todo_adapters.auth.refusal import Check, Reason
from todo_app.identity import key_sets_of, verifier_of
from todo_app.identity_settings import ANY_CLIENT, NO_AUDIENCE
from todo_app.pasted_token import by_content, by_sight, pasted_token, unverified
from todo_domain import Deadline

if TYPE_CHECKING:
    from todo_app.settings import Settings
    from todo_domain import UserId


def sign(settings: Settings, user: UserId, ttl: int) -> str:
    """Return an HS256 token for `user` that is valid for `ttl` seconds, signed with the first secret.

    Its issuer, audience and client are the first ones that are configured.
    """
    now = int(time.time())
    claims: dict[str, object] = {settings.jwt_user_claim: user, "iat": now, "exp": now + ttl}
    if settings.jwt_issuer:
        claims["iss"] = settings.jwt_issuer[0]
    if settings.jwt_audience and settings.jwt_audience != NO_AUDIENCE:
        claims["aud"] = settings.jwt_audience[0]
    if settings.jwt_clients and settings.jwt_clients != ANY_CLIENT:
        claims["client_id"] = settings.jwt_clients[0]
    return jwt.encode(claims, settings.jwt_secrets[0], algorithm="HS256")


def explain(settings: Settings, text: str) -> bool:
    """Print each check that the service makes of the token in `text`; return whether all pass.

    The token is never printed. Of its claims, iss, aud and the client are printed beside the configured values.
    """
    token = pasted_token(text)
    checks = asyncio.run(_checks(settings, token))
    for check in checks:
        print(f"{'ok   ' if check.passed else 'FAIL '} {check.reason}: {check.sentence}")
        if check.configured:
            print(f"        found       {check.found}\n        configured  {check.configured}")
    read = unverified(token)
    hint = by_sight(token) or (by_content(read[1]) if read else None)
    if hint is not None:
        print(f"note  {hint}")
    return all(check.passed for check in checks)


async def _checks(settings: Settings, token: str) -> list[Check]:
    """Return the checks, with the cause if keys could not be obtained."""
    key_sets = key_sets_of(settings, AuditLines("stderr"))
    verifier = verifier_of(settings, AuditLines("stderr"), key_sets)
    try:
        checks = await verifier.explain(token, deadline=Deadline.within(FETCHED.first))
    finally:
        await verifier.aclose()
    causes = "; ".join(f"{name}: {keys.failure}" for name, keys in key_sets.items() if keys.failure)
    return [
        check._replace(sentence=f"{check.sentence} ({causes})")
        if check.reason == Reason.KEY_UNKNOWN and not check.passed and causes
        else check
        for check in checks
    ]
