"""The reasons to refuse a token: the codes for audit logs, and the sentence of each check."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from todo_domain.errors import Unauthenticated

LONGEST_TOKEN: Final = 16_384
"""The most characters of a token; the header section of a request has the same limit and is checked first."""

LEEWAY: Final = 30.0
"""Seconds by which the issuer's clock and this service's clock may differ."""


class Reason(StrEnum):
    """The reasons to refuse a token, in the order of the checks. The values are stable: audit logs have them."""

    TOO_LONG = "too_long"
    MALFORMED = "malformed"
    HEADER = "header"
    ALGORITHM = "algorithm"
    KEY_UNKNOWN = "key_unknown"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_FUTURE = "issued_in_future"
    LIFETIME = "lifetime"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    CLIENT = "client"
    SUBJECT = "subject"


PROMISES: Final[Mapping[Reason, str]] = {
    Reason.TOO_LONG: f"at most {LONGEST_TOKEN} characters",
    Reason.MALFORMED: "three segments of unpadded canonical base64url (RFC 7515, section 7.1)",
    Reason.HEADER: "a JSON object, no name twice, no crit, b64, zip, enc, jwk, jku or x5u; typ, if any, JWT or at+jwt",
    Reason.ALGORITHM: "alg is one that this service accepts",
    Reason.KEY_UNKNOWN: "kid and alg name a key of the issuer; without kid, the issuer has one key for alg",
    Reason.SIGNATURE: "that key made the signature",
    Reason.CLAIMS: "a JSON object, no name twice; exp, nbf and iat are seconds since 1970",
    Reason.EXPIRED: f"exp is ahead, or less than {LEEWAY:.0f} s ago",
    Reason.NOT_YET_VALID: f"nbf, if there, is at most {LEEWAY:.0f} s ahead",
    Reason.ISSUED_IN_FUTURE: f"iat, if there, is at most {LEEWAY:.0f} s ahead",
    Reason.LIFETIME: "exp is not further from now, nor from iat, than the longest lifetime",
    Reason.ISSUER: "iss is an issuer that is configured, and the key is that issuer's; or none is configured",
    Reason.AUDIENCE: "aud is or contains a configured audience; or none is configured, or none allowed",
    Reason.CLIENT: "azp, client_id and cid are configured clients, and one is present; or any client is allowed",
    Reason.SUBJECT: "the user's claim is 1 to 255 characters, none of them a control character",
}
"""The sentence about a token that passed the check for a reason."""


_NOT_SET_UP: Final[Mapping[Reason, str]] = {
    Reason.TOO_LONG: "the token is too long",
    Reason.HEADER: "its header has a type or a member that is not accepted",
    Reason.ALGORITHM: "its algorithm is not accepted",
    Reason.CLAIMS: "its claims are malformed or lack exp",
    Reason.NOT_YET_VALID: "it is not valid yet, so the clocks may differ",
    Reason.ISSUED_IN_FUTURE: "it was issued in the future, so the clocks differ",
    Reason.LIFETIME: "it is valid for longer than is allowed here",
    Reason.ISSUER: "its issuer is not configured",
    Reason.AUDIENCE: "its audience is not configured",
    Reason.CLIENT: "its client is not configured",
    Reason.SUBJECT: "the claim that names its user is missing or invalid",
}
"""The problems that another token of the same kind has as well, so that signing in again does not help."""


NOT_A_JWT: Final = (
    "the token is not a JWT: send the one that your provider issued, not the text undefined, null or [object Object]"
)
"""The sentence for a token without three segments: pages send these texts where a token is missing or not awaited."""


class TokenRefused(Unauthenticated):
    """A token is refused. `why` is for the holder of the token; it quotes only times from the token.

    `sentence` is for the caller; without it, the sentence depends on the reason.
    """

    def __init__(self, reason: Reason, why: str, sentence: str | None = None) -> None:
        if sentence is not None:
            super().__init__(reason.value, sentence)
        elif reason in _NOT_SET_UP:
            super().__init__(reason.value, f"this service is not set up for this token: {_NOT_SET_UP[reason]}")
        elif reason is Reason.EXPIRED:
            super().__init__(reason.value, "the token has expired: sign in again")
        else:
            super().__init__(reason.value)
        self.why = why


class Check(NamedTuple):
    """One check of a token: `sentence` is from PROMISES if it passed, else the problem.

    `found` and `configured` are the values in the token and in the settings, if the check compares them.
    """

    reason: Reason
    passed: bool
    sentence: str
    found: str = ""
    configured: str = ""
