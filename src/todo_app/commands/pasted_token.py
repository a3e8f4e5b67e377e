"""Pasted tokens: extracts the token from its wrapping, and recognises strings that are not signed JWTs."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, Final

_NAMES: Final = ("access_token", "accessToken", "token", "jwt", "id_token", "idToken")
"""JSON members that contain a token, in order of preference."""

_WRAPPING: Final = " \t\r\n\"'`,;"

_ACCESS: Final = "ask it for a JWT access token for this service instead"

_BY_SIGHT: Final = {
    r"v[1-4]\.(local|public)\..*": "This is a PASETO, a signed token of another kind: if the provider can, ASK.",
    r"Fe26\.2\*.*": "This is a sealed session cookie (iron-session): only the front end's own server can read it.",
    r"s:.*\..*": "This is a signed session cookie (Express): only the front end's own server can use it.",
    r"sess(ion)?_.*": "This is the id of a session and not a token: through the provider's library, ASK.",
    r"ya29\..*|gh[opsu]_.*|EAA.*": "This is an opaque token for the provider's own API: no other service can read it.",
    r"(sk|pk|rk|sb|ory|xox[bp]|pat|org|whsec|at|rt)[_-].*": "This is a key or an opaque token of the provider's: ASK.",
    r"[^.]+\.[^.]+": "This is a signed session token (two segments), as Better Auth keeps it in a cookie: with its JWT "
    "plugin, fetch a JWT from /api/auth/token.",
    r"[^.]+\.[^.]*\.[^.]+\.[^.]+\.[^.]+": "This is an encrypted token (five segments), which only its issuer can read. "
    "Auth0 sends one where no audience was asked for, and Auth.js keeps its session in one: ASK.",
    r"[^.]+": "This is an opaque token, which only its issuer can read: ASK. Name an audience or a resource where the "
    "provider asks for one.",
}
"""Patterns of strings that are not signed JWTs, each with a sentence that says what to do; ASK stands for _ACCESS."""


def pasted_token(text: str) -> str:
    """Return the token in `text` without `Bearer …`, quotes, a header line, JSON and line breaks around it."""
    text = text.strip(_WRAPPING)
    if text[:1] in {"{", "["}:
        try:
            text = _in_json(json.loads(text)) or text
        except (ValueError, RecursionError):
            return text
    text = re.sub(r"(?i)^(-H\s*)?[\"']?authorization\s*:\s*", "", text)
    text = re.sub(r"(?i)^bearer\s+", "", text.strip(_WRAPPING))
    return "".join(text.strip(_WRAPPING).split())


def by_sight(token: str) -> str | None:
    """Return what kind of string this is, if not a signed JWT, and what to do; None for three segments."""
    if not token:
        return "There is no token: give it on standard input."
    for pattern, sentence in _BY_SIGHT.items():
        if re.fullmatch(pattern, token):
            return sentence.replace("ASK", _ACCESS)
    return None


def by_content(claims: Mapping[str, Any]) -> str | None:
    """Return what kind of JWT this is, and what to do, if it is not an access token."""
    if "session" in claims and "user" in claims:
        return "This is a session cookie of Better Auth: with its JWT plugin, fetch a JWT from /api/auth/token."
    if claims.get("role") in {"anon", "service_role"} and "sub" not in claims:
        return (
            "This is a project's API key of Supabase, not a user's token: use session.access_token of a signed-in user."
        )
    if str(claims.get("typ", "")).lower() in {"refresh", "offline"}:
        return f"This is a refresh token, which is for the provider alone: {_ACCESS}."
    if why := _id_token(claims):
        return (
            f"This looks like an ID token ({why}): it tells an application who signed in, and is not meant for an API. "
            f"If the provider can, {_ACCESS}."
        )
    return None


def unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the unverified header and claims of a string of three segments, None if they are not JSON objects."""
    try:
        header, claims = (json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in token.split(".")[:2])
    except (ValueError, RecursionError):
        return None
    return (header, claims) if isinstance(header, dict) and isinstance(claims, dict) else None


def _id_token(claims: Mapping[str, Any]) -> str | None:
    if claims.get("token_use") == "id":
        return "token_use is id"
    if claims.get("typ") == "ID":
        return "its typ is ID"
    for name in ("at_hash", "c_hash", "nonce"):
        if name in claims:
            return f"it has {name}"
    return None


def _in_json(value: object) -> str | None:
    """Return the preferred token in a JSON value of any shape."""
    if isinstance(value, str):
        return value
    found: dict[str, str] = {}
    waiting = [value]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, dict):
            for name, member in one.items():
                if isinstance(member, str) and name in _NAMES:
                    found.setdefault(name, member)
            waiting += [member for member in one.values() if isinstance(member, dict | list)]
        elif isinstance(one, list):
            waiting += [member for member in one if isinstance(member, dict | list)]
    return next((found[name] for name in _NAMES if name in found), None)
