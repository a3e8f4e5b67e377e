"""Who is calling: the strict shell around PyJWT, and a short memory of whom it let in."""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

from todo_adapters.auth.keys import KeySource
from todo_adapters.auth.refusal import LEEWAY, LONGEST_TOKEN, PROMISES, Check, Reason, Refused
from todo_adapters.auth.strict_json import strict_json
from todo_domain.errors import Invalid
from todo_domain.owner import UserId, user_id

LONGEST_LIFETIME: Final = 90_000.0
"""Seconds for which a token may be valid unless the deployment says otherwise: several providers give a day, and Entra
gives its managed identities 86,700 s."""

REMEMBERED_FOR: Final = 60.0
"""Seconds for which a verified token is known again without a look at its signature."""

MOST_REMEMBERED: Final = 4096
"""Tokens remembered at most, a few MB; then the oldest is forgotten."""

_LATEST: Final = 253_402_300_799
"""The end of the year 9999: a later time was meant in milliseconds."""

_REFUSED_MEMBERS: Final = ("crit", "b64", "zip", "enc", "jwk", "jku", "x5u")
"""Header members that change what a signature covers, or bring or locate a key. Others are ignored (RFC 7515, 4)."""

_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class Verifier:
    """The port TokenVerifier over a source of keys: JWTs in compact form (RFC 7519, RFC 7515, RFC 8725).

    `issuer` and `audience` are compared character by character with `iss` and `aud`; None asks for none, which only
    shared secrets may. `max_lifetime` is in seconds. `clock` gives seconds since 1970. Raises ValueError for settings
    that would let strangers in.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        max_lifetime: float = LONGEST_LIFETIME,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if keys.algorithms != {"HS256"} and not (issuer and audience):
            raise ValueError("a key set signs for other services too: issuer and audience must be given")
        if not max_lifetime > 0:
            raise ValueError("the longest lifetime of a token must be more than 0 seconds")
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._max_lifetime = max_lifetime
        self._clock = clock
        self._remembered: OrderedDict[bytes, tuple[float, UserId]] = OrderedDict()
        self._version = keys.version

    async def verify(self, token: str) -> UserId:
        """Return the subject of a token that is valid now: see Reason and PROMISES for what that takes.

        Raises Unauthenticated with one of Reason, and Unavailable as the key source does; nothing else. A token is
        remembered for REMEMBERED_FOR seconds, not beyond its end, not beyond a change of the keys.
        """
        raw = _characters(token)
        digest = sha256(raw).digest()
        known = self._remembered.get(digest)
        if known is not None and self._clock() < known[0] and self._version == self._keys.version:
            return known[1]
        until, user = await self._examine(raw)
        self._remember(digest, until, user)
        return user

    async def check(self) -> None:
        """Return if tokens can be verified right now, else raise Unavailable with the reason."""
        await self._keys.check()

    async def explain(self, token: str) -> list[Check]:
        """Return the checks that `verify` would make, the last of them the one that fails, if one does.

        Nothing is remembered, and no sentence holds the token, a part of it or a key. Raises Unavailable like verify.
        """
        refused = None
        try:
            await self._examine(_characters(token))
        except Refused as error:
            refused = error
        checks: list[Check] = []
        for reason, promise in PROMISES.items():
            if refused is not None and refused.reason == reason:
                return [*checks, Check(reason, passed=False, sentence=refused.why)]
            checks.append(Check(reason, passed=True, sentence=promise))
        return checks

    async def _examine(self, raw: bytes) -> tuple[float, UserId]:
        """Return until when the token may be remembered, and its subject. The checks stand in the order of Reason."""
        header, payload, signature = _segments(raw)
        algorithm, kid = self._header(header)
        keys = self._keys.find(kid, algorithm) or await self._keys.search(kid, algorithm)
        if not keys:
            raise Refused(Reason.KEY_UNKNOWN, "the issuer has no such key, or without kid more than one to choose from")
        message = raw[: raw.rindex(b".")]
        if not any(key.signed(message, signature) for key in keys):
            raise Refused(Reason.SIGNATURE, "the signature is not made with this key, or the token was changed")
        claims = _object(payload, Reason.CLAIMS, "claims")
        now = self._clock()
        end = self._end(claims, now)
        self._require_meant_for_us(claims)
        return min(now + REMEMBERED_FOR, end), _subject(claims)

    def _header(self, header: bytes) -> tuple[str, str | None]:
        """Return `alg` and `kid`."""
        members = _object(header, Reason.HEADER, "header")
        for name in _REFUSED_MEMBERS:
            if name in members:
                raise Refused(Reason.HEADER, f"the header has the member {name}, which is not taken")
        algorithm, kid, typ = members.get("alg"), members.get("kid", ""), members.get("typ", "JWT")
        if not (isinstance(algorithm, str) and isinstance(kid, str) and isinstance(typ, str)):
            raise Refused(Reason.HEADER, "alg is missing, or alg, kid or typ is no string")
        # A media type's case means nothing (RFC 7515, section 4.1.9; RFC 9068, section 2.1).
        if typ.lower() not in _TYPES:
            raise Refused(Reason.HEADER, "typ is neither JWT nor at+jwt")
        if algorithm not in self._keys.algorithms:
            raise Refused(Reason.ALGORITHM, f"alg must be {' or '.join(sorted(self._keys.algorithms))}")
        return algorithm, kid if "kid" in members else None

    def _end(self, claims: Mapping[str, object], now: float) -> float:
        """Return when the token stops being valid, leeway included, in seconds since 1970."""
        exp, nbf, iat = _seconds(claims, "exp"), _seconds(claims, "nbf"), _seconds(claims, "iat")
        if exp is None:
            raise Refused(Reason.CLAIMS, "exp is missing")
        if now >= exp + LEEWAY:
            raise Refused(Reason.EXPIRED, f"exp was {now - exp:.0f} s ago")
        if nbf is not None and nbf > now + LEEWAY:
            raise Refused(Reason.NOT_YET_VALID, f"nbf is {nbf - now:.0f} s ahead")
        if iat is not None and iat > now + LEEWAY:
            raise Refused(Reason.ISSUED_IN_FUTURE, f"iat is {iat - now:.0f} s ahead: are the clocks right?")
        if exp - now > self._max_lifetime + LEEWAY or (iat is not None and exp - iat > self._max_lifetime):
            longest = f"{self._max_lifetime:.0f} s is the longest"
            raise Refused(Reason.LIFETIME, f"exp is {exp - now:.0f} s ahead, or further from iat: {longest}")
        return exp + LEEWAY

    def _require_meant_for_us(self, claims: Mapping[str, object]) -> None:
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise Refused(Reason.ISSUER, "iss is missing or is not exactly the configured issuer")
        aud = claims.get("aud")
        if self._audience is None or aud == self._audience:
            return
        if not isinstance(aud, list) or not all(isinstance(one, str) for one in aud) or self._audience not in aud:
            raise Refused(Reason.AUDIENCE, "aud is missing, or is and has not exactly the configured audience")

    def _remember(self, digest: bytes, until: float, user: UserId) -> None:
        if self._version != self._keys.version:
            self._remembered.clear()
            self._version = self._keys.version
        self._remembered[digest] = until, user
        self._remembered.move_to_end(digest)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)


def _characters(token: str) -> bytes:
    if len(token) > LONGEST_TOKEN:
        raise Refused(Reason.TOO_LONG, f"it has {len(token)} characters, and {LONGEST_TOKEN} is the most")
    try:
        return token.encode("ascii")
    except UnicodeEncodeError:
        raise Refused(Reason.MALFORMED, "it has characters that no token has") from None


def _segments(raw: bytes) -> tuple[bytes, bytes, bytes]:
    segments = raw.split(b".", 3)
    if len(segments) != 3:
        raise Refused(Reason.MALFORMED, "it does not have three segments")
    header, payload, signature = map(_decoded, segments)
    return header, payload, signature


def _decoded(segment: bytes) -> bytes:
    try:
        data = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except NotBase64:
        data = b""
    # Python's decoder is lenient: what does not come out again as it went in was spelt another way.
    if not data or urlsafe_b64encode(data).rstrip(b"=") != segment:
        raise Refused(Reason.MALFORMED, "a segment is empty or not canonical base64url without padding")
    return data


def _object(data: bytes, reason: Reason, name: str) -> Mapping[str, object]:
    try:
        members = strict_json(data)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        raise Refused(reason, f"the {name} is not a UTF-8 JSON object with each name once")
    return members


def _seconds(claims: Mapping[str, object], name: str) -> float | None:
    """Return a NumericDate (RFC 7519, section 2), None if there is none."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise Refused(Reason.CLAIMS, f"{name} is not a number of seconds since 1970")
    return value


def _subject(claims: Mapping[str, object]) -> UserId:
    sub = claims.get("sub")
    if not isinstance(sub, str):
        raise Refused(Reason.SUBJECT, "sub is missing or no string")
    try:
        return user_id(sub)
    except Invalid as error:
        raise Refused(Reason.SUBJECT, f"sub {error.message}") from None
