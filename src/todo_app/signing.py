"""Signs tokens with the shared secret, or with the one made for this machine: for trying the service out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt

from todo_app.settings.identity import ANY_CLIENT, NO_AUDIENCE

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
