"""Verifies tokens: strict checks around PyJWT's signatures, and a cache of verified tokens."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from todo_adapters.auth.claims import ClaimRules, expiry_of
from todo_adapters.auth.compact import Segments, ascii_of, header_problem, json_object, named_key, split
from todo_adapters.auth.explanation import explain
from todo_adapters.auth.keys import Key, KeySource
from todo_adapters.auth.refusal import LEEWAY, Check, Reason, TokenRefused
from todo_domain.deadline import Deadline
from todo_domain.ports import Caller

REMEMBERED_FOR: Final = 60.0
"""Seconds for which a verified token is accepted again without verifying its signature."""

MOST_REMEMBERED: Final = 4096
"""The most remembered tokens (a few MB); beyond them the oldest is dropped."""


class Verifier:
    """The port TokenVerifier over a source of keys: JWTs in compact form (RFC 7519, RFC 7515, RFC 8725).

    `clock` returns seconds since 1970. Raises ValueError for a key set without rules that bind its tokens to this
    service; only shared secrets need none.
    """

    def __init__(
        self, keys: KeySource, rules: ClaimRules | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        rules = rules or ClaimRules()
        if keys.algorithms != {"HS256"} and not rules.bound:
            raise ValueError("a key set signs for other services too: issuer and audience must be given")
        self._keys = keys
        self._rules = rules
        self._clock = clock
        self._remembered: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._version = keys.version

    async def verify(self, token: str, *, deadline: Deadline | None = None) -> Caller:
        """Return the caller of a token that is valid now, by the checks of Reason and PROMISES.

        Raises Unauthenticated with one of Reason, and Unavailable from the key source; nothing else. A token is
        remembered for REMEMBERED_FOR seconds, at most until it expires or the keys change.
        """
        raw = ascii_of(token)
        digest = sha256(raw).digest()
        known = self._remembered.get(digest)
        if known is not None and self._clock() < known[0] and self._version == self._keys.version:
            return known[1]
        until, caller = await self._examine(raw, deadline)
        self._remember(digest, until, caller)
        return caller

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return if tokens can be verified right now, else raise Unavailable with the reason."""
        await self._keys.check(deadline=deadline)

    async def open(self) -> None:
        """Begin to load the keys, without waiting for them."""
        await self._keys.open()

    async def aclose(self) -> None:
        """Cancel a load of the keys in progress."""
        await self._keys.aclose()

    async def explain(self, token: str, *, deadline: Deadline | None = None) -> list[Check]:
        """Return every check of a token with its result (see `auth.explanation`). The token is not remembered."""
        return await explain(token, self._keys, self._rules, self._clock(), deadline=deadline)

    async def _examine(self, raw: bytes, deadline: Deadline | None) -> tuple[float, Caller]:
        """Return the time until which the token may be remembered, and its caller. Check in the order of Reason."""
        segments = split(raw)
        header = json_object(segments.header, Reason.HEADER, "header")
        if (problem := header_problem(header)) is not None:
            raise TokenRefused(Reason.HEADER, problem)
        algorithm, kid = named_key(header)
        if algorithm not in self._keys.algorithms:
            raise TokenRefused(Reason.ALGORITHM, f"alg must be {', '.join(sorted(self._keys.algorithms))}")
        signers = await self._signers(segments, algorithm, kid, deadline)
        claims = json_object(segments.payload, Reason.CLAIMS, "claims")
        now = self._clock()
        for reason, problem in self._rules.checks(claims, now, self._rules.issuers_of(signers)):
            if problem is not None:
                raise TokenRefused(reason, problem)
        caller = Caller(self._rules.user(claims), expiry_of(claims))
        return min(now + REMEMBERED_FOR, caller.expires_at + LEEWAY), caller

    async def _signers(
        self, segments: Segments, algorithm: str, kid: str | None, deadline: Deadline | None
    ) -> Sequence[Key]:
        """Return the keys that made the signature, at least one.

        If none of the loaded keys made it, it is checked again with newer keys, because an issuer may reuse a name for
        another key.
        """
        version = self._keys.version
        keys = self._keys.find(kid, algorithm)
        signers = _signed(keys, segments)
        if not signers:
            newer = await self._keys.search(kid, algorithm, deadline=deadline)
            signers = _signed(newer, segments) if not keys or self._keys.version != version else []
            keys = newer
        if not keys:
            raise TokenRefused(
                Reason.KEY_UNKNOWN, "the issuer has no key with this kid, or kid is missing and there are several keys"
            )
        if not signers:
            raise TokenRefused(Reason.SIGNATURE, "the signature was not made with this key, or the token was changed")
        return signers

    def _remember(self, digest: bytes, until: float, caller: Caller) -> None:
        if self._version != self._keys.version:
            self._remembered.clear()
            self._version = self._keys.version
        self._remembered[digest] = until, caller
        self._remembered.move_to_end(digest)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)


def _signed(keys: Sequence[Key], segments: Segments) -> list[Key]:
    return [key for key in keys if key.signed(segments.message, segments.signature)]
