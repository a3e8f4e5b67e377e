"""The rules for the claims of a token (RFC 7519, section 4; RFC 8725, section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from todo_adapters.auth.keys import Key
from todo_adapters.auth.refusal import LEEWAY, Reason
from todo_domain.errors import Invalid
from todo_domain.owner import UserId, user_id

Claims = Mapping[str, object]

LONGEST_LIFETIME: Final = 90_000.0
"""The default for the longest lifetime of a token, in seconds: several providers use a day, and Entra uses 86,700 s for
managed identities."""

CLIENT_CLAIMS: Final = ("azp", "client_id", "cid")
"""The claims that name the client a token was issued to (OIDC Core 2; RFC 9068, 2.2; Okta's `cid`)."""

_LATEST: Final = 253_402_300_799
"""The end of the year 9999; a later time is probably in milliseconds."""

_TIMES: Final = ("exp", "nbf", "iat")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimRules:
    """The rules for the claims of a token. Names are compared character by character.

    `iss` must be one of `issuers`, and `aud` must be or contain one of `audiences`; an empty set requires none.
    `without_audience` accepts only tokens that have no audience, and needs `clients` or `any_client`. With `clients`, a
    token must have one of CLIENT_CLAIMS, and each that it has must name one of these clients. The user is the claim
    `user_claim`, which the issuer must never give to two people. `max_lifetime` is in seconds. Raises ValueError for
    rules that contradict each other.
    """

    issuers: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    without_audience: bool = False
    clients: frozenset[str] = frozenset()
    any_client: bool = False
    user_claim: str = "sub"
    max_lifetime: float = LONGEST_LIFETIME

    def __post_init__(self) -> None:
        if not self.max_lifetime > 0:
            raise ValueError("the longest lifetime of a token must be more than 0 seconds")
        if self.without_audience and self.audiences:
            raise ValueError("audiences and without_audience exclude each other")
        if self.without_audience and not (self.clients or self.any_client):
            raise ValueError("without_audience needs clients or any_client")
        if self.clients and self.any_client:
            raise ValueError("clients and any_client exclude each other")
        if "" in self.issuers | self.audiences | self.clients | {self.user_claim}:
            raise ValueError("an issuer, an audience, a client or the user's claim is empty")

    @property
    def bound(self) -> bool:
        """Whether the rules refuse tokens for other services, as they must if an issuer serves several."""
        return bool(self.issuers) and bool(self.audiences or self.without_audience)

    def issuers_of(self, signers: Sequence[Key]) -> frozenset[str]:
        """Return the issuers that these keys may sign for: each its own; a key without an issuer, all of them."""
        own = {key.issuer for key in signers}
        return self.issuers & own if own and None not in own else self.issuers

    def checks(self, claims: Claims, now: float, issuers: frozenset[str]) -> Iterator[tuple[Reason, str | None]]:
        """Yield each check with its problem, None if it passes. The key may sign for `issuers`.

        `now` is in seconds since 1970. A missing or malformed time fails the check CLAIMS only.
        """
        times = {name: _seconds(claims.get(name)) for name in _TIMES}
        yield Reason.CLAIMS, _malformed(claims, times)
        exp, nbf, iat = (times[name] for name in _TIMES)
        if exp is not None:
            yield Reason.EXPIRED, f"exp was {now - exp:.0f} s ago" if now >= exp + LEEWAY else None
        yield Reason.NOT_YET_VALID, _ahead("nbf", nbf, now)
        yield Reason.ISSUED_IN_FUTURE, _ahead("iat", iat, now)
        if exp is not None:
            yield Reason.LIFETIME, self._lifetime(exp, iat, now)
        yield Reason.ISSUER, self._issuer(claims, issuers)
        yield Reason.AUDIENCE, self._audience(claims)
        yield Reason.CLIENT, self._client(claims)
        yield Reason.SUBJECT, self._subject(claims)

    def user(self, claims: Claims) -> UserId:
        """Return the user of claims that passed the checks."""
        return user_id(str(claims[self.user_claim]))

    def _lifetime(self, exp: float, iat: float | None, now: float) -> str | None:
        if exp - now <= self.max_lifetime + LEEWAY and (iat is None or exp - iat <= self.max_lifetime):
            return None
        return f"exp is {exp - now:.0f} s ahead, or further from iat: at most {self.max_lifetime:.0f} s is allowed"

    def _issuer(self, claims: Claims, issuers: frozenset[str]) -> str | None:
        if not self.issuers:
            return None
        issuer = claims.get("iss")
        if not isinstance(issuer, str) or issuer not in self.issuers:
            return "iss is missing or is not exactly a configured issuer"
        return None if issuer in issuers else "iss is a configured issuer, but the key belongs to another one"

    def _audience(self, claims: Claims) -> str | None:
        found = claims.get("aud", [])
        if self.without_audience:
            return None if found == [] else "the token has an aud, and only tokens without one are accepted"
        if not self.audiences:
            return None
        members = [found] if isinstance(found, str) else found
        if not isinstance(members, list) or not all(isinstance(one, str) for one in members):
            return "aud is neither a string nor a list of strings"
        return None if self.audiences.intersection(members) else "aud is missing or contains no configured audience"

    def _client(self, claims: Claims) -> str | None:
        if not self.clients:
            return None
        found = [claims[name] for name in CLIENT_CLAIMS if name in claims]
        if not found:
            return f"the token names no client: it lacks all of {', '.join(CLIENT_CLAIMS)}"
        if all(isinstance(one, str) and one in self.clients for one in found):
            return None
        return f"one of {', '.join(CLIENT_CLAIMS)} is not exactly a configured client"

    def _subject(self, claims: Claims) -> str | None:
        subject = claims.get(self.user_claim)
        if not isinstance(subject, str):
            return f"{self.user_claim} is missing or not a string"
        try:
            user_id(subject)
        except Invalid as error:
            return f"{self.user_claim} {error.message}"
        return None


def expiry_of(claims: Claims) -> float:
    """Return the expiry of claims that passed the checks, in seconds since 1970; they are valid for LEEWAY longer."""
    return _seconds(claims.get("exp")) or 0.0


def _seconds(value: object) -> float | None:
    """Return a NumericDate (RFC 7519, section 2), None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        return None
    return value


def _malformed(claims: Claims, times: Mapping[str, float | None]) -> str | None:
    if "exp" not in claims:
        return "exp is missing"
    wrong = [name for name in _TIMES if name in claims and times[name] is None]
    return f"{wrong[0]} is not a number of seconds since 1970" if wrong else None


def _ahead(name: str, time: float | None, now: float) -> str | None:
    if time is None or time <= now + LEEWAY:
        return None
    return f"{name} is {time - now:.0f} s ahead: check the clocks"
