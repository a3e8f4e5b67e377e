"""Who is calling: the strict shell around PyJWT, and a short memory of whom it let in."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from todo_adapters.auth.claims import ClaimRules, expiry_of
from todo_adapters.auth.compact import Parts, ascii_of, header_problem, json_object, named_key, split
from todo_adapters.auth.explanation import explain
from todo_adapters.auth.keys import Key, KeySource
from todo_adapters.auth.refusal import LEEWAY, Check, Reason, Refused
from todo_domain.deadline import Deadline
from todo_domain.ports import Caller

REMEMBERED_FOR: Final = 60.0
"""Seconds for which a verified token is known again without a look at its signature."""

MOST_REMEMBERED: Final = 4096
"""Tokens remembered at most, a few MB; then the oldest is forgotten."""


class Verifier:
    """The port TokenVerifier over a source of keys: JWTs in compact form (RFC 7519, RFC 7515, RFC 8725).

    `clock` gives seconds since 1970. Raises ValueError for a key set without rules that bind its tokens to this
    service: only shared secrets may do without.
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
        """Return the caller of a token that is valid now: see Reason and PROMISES for what that takes.

        Raises Unauthenticated with one of Reason, and Unavailable as the key source does; nothing else. A token is
        remembered for REMEMBERED_FOR seconds, not beyond its end, not beyond a change of the keys.
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
        """End a load of the keys that is under way."""
        await self._keys.aclose()

    async def explain(self, token: str, *, deadline: Deadline | None = None) -> list[Check]:
        """Return every check of a token with its result: see `auth.explanation`. Nothing is remembered."""
        return await explain(token, self._keys, self._rules, self._clock(), deadline=deadline)

    async def _examine(self, raw: bytes, deadline: Deadline | None) -> tuple[float, Caller]:
        """Return until when the token may be remembered, and its caller. The checks stand in the order of Reason."""
        parts = split(raw)
        header = json_object(parts.header, Reason.HEADER, "header")
        if (problem := header_problem(header)) is not None:
            raise Refused(Reason.HEADER, problem)
        algorithm, kid = named_key(header)
        if algorithm not in self._keys.algorithms:
            raise Refused(Reason.ALGORITHM, f"alg must be {', '.join(sorted(self._keys.algorithms))}")
        signers = await self._signers(parts, algorithm, kid, deadline)
        claims = json_object(parts.payload, Reason.CLAIMS, "claims")
        now = self._clock()
        for reason, problem in self._rules.checks(claims, now, self._rules.speaking(signers)):
            if problem is not None:
                raise Refused(reason, problem)
        caller = Caller(self._rules.user(claims), expiry_of(claims))
        return min(now + REMEMBERED_FOR, caller.expires_at + LEEWAY), caller

    async def _signers(self, parts: Parts, algorithm: str, kid: str | None, deadline: Deadline | None) -> Sequence[Key]:
        """Return the keys that made the signature, at least one.

        A signature that none of the keys at hand made is looked at again with newer ones, because an issuer may give
        another key the same name.
        """
        version = self._keys.version
        keys = self._keys.find(kid, algorithm)
        signers = _signed(keys, parts)
        if not signers:
            newer = await self._keys.search(kid, algorithm, deadline=deadline)
            signers = _signed(newer, parts) if not keys or self._keys.version != version else []
            keys = newer
        if not keys:
            raise Refused(Reason.KEY_UNKNOWN, "the issuer has no such key, or without kid more than one to choose from")
        if not signers:
            raise Refused(Reason.SIGNATURE, "the signature is not made with this key, or the token was changed")
        return signers

    def _remember(self, digest: bytes, until: float, caller: Caller) -> None:
        if self._version != self._keys.version:
            self._remembered.clear()
            self._version = self._keys.version
        self._remembered[digest] = until, caller
        self._remembered.move_to_end(digest)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)


def _signed(keys: Sequence[Key], parts: Parts) -> list[Key]:
    return [key for key in keys if key.signed(parts.message, parts.signature)]
