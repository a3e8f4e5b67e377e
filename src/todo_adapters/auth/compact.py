"""A token in compact form: three segments of base64url with dots between (RFC 7515, section 7.1)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from typing import Final, NamedTuple

from todo_adapters.auth.keys import ALIASES
from todo_adapters.auth.refusal import LONGEST_TOKEN, NOT_A_JWT, Reason, TokenRefused
from todo_adapters.auth.strict_json import strict_json

_REFUSED_MEMBERS: Final = ("crit", "b64", "zip", "enc", "jwk", "jku", "x5u")
"""Header members that change what a signature covers, or contain or locate a key. Others are ignored (RFC 7515, 4)."""

_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class Segments(NamedTuple):
    """The decoded segments of a token, and the bytes that its signature covers."""

    header: bytes
    payload: bytes
    signature: bytes
    message: bytes


def ascii_of(token: str) -> bytes:
    """Return the bytes of a token; raise TokenRefused if it is too long or not ASCII."""
    if len(token) > LONGEST_TOKEN:
        raise TokenRefused(Reason.TOO_LONG, f"it has {len(token)} characters; at most {LONGEST_TOKEN} are allowed")
    try:
        return token.encode("ascii")
    except UnicodeEncodeError:
        raise TokenRefused(Reason.MALFORMED, "it has characters outside ASCII") from None


def split(raw: bytes) -> Segments:
    """Return the decoded segments of a token, or raise TokenRefused."""
    encoded = raw.split(b".", 3)
    if len(encoded) != 3:
        raise TokenRefused(Reason.MALFORMED, "it does not have three segments", NOT_A_JWT)
    header, payload, signature = map(_decoded, encoded)
    return Segments(header, payload, signature, raw[: raw.rindex(b".")])


def json_object(data: bytes, reason: Reason, name: str) -> Mapping[str, object]:
    """Return the JSON object in a header or payload, or raise TokenRefused for `reason`."""
    try:
        members = strict_json(data)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        raise TokenRefused(reason, f"the {name} is not a UTF-8 JSON object with each name once")
    return members


def header_problem(members: Mapping[str, object]) -> str | None:
    """Return the problem of a header, None if it is valid."""
    for name in _REFUSED_MEMBERS:
        if name in members:
            return f"the header has the member {name}, which is not accepted"
    typ = members.get("typ", "JWT")
    if not all(isinstance(one, str) for one in (members.get("alg"), members.get("kid", ""), typ)):
        return "alg is missing, or alg, kid or typ is not a string"
    # Media types are compared without regard to case (RFC 7515, section 4.1.9; RFC 9068, section 2.1).
    return None if str(typ).lower() in _TYPES else "typ is neither JWT nor at+jwt"


def named_key(members: Mapping[str, object]) -> tuple[str, str | None]:
    """Return the algorithm and the `kid` of a valid header; the `kid` is None if there is none."""
    algorithm = str(members["alg"])
    return ALIASES.get(algorithm, algorithm), str(members["kid"]) if "kid" in members else None


def _decoded(segment: bytes) -> bytes:
    try:
        data = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except NotBase64:
        data = b""
    # Python's decoder is lenient, so compare with the canonical encoding.
    if not data or urlsafe_b64encode(data).rstrip(b"=") != segment:
        raise TokenRefused(Reason.MALFORMED, "a segment is empty or not canonical base64url without padding")
    return data
