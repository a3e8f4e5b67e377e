"""What signatures are checked with: keys that know their one algorithm, and the secrets shared with the issuer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import jwt

from todo_domain.deadline import Deadline

SHORTEST_SECRET: Final = 32
"""Bytes in an HS256 secret at least (RFC 7518, section 3.2)."""


ALIASES: Final = {"Ed25519": "EdDSA"}
"""Other names of algorithms (RFC 9864, section 2.2): of the curves of EdDSA only Ed25519 is taken."""


class Key:
    """A key and the one algorithm that it is for, whatever a token says. Its repr shows nothing of it.

    `material` is what PyJWT's algorithm of that name takes: bytes for HS256, else a public key of `cryptography`.
    `issuer` is the only one that the key speaks for, None where it speaks for all. Raises jwt.InvalidKeyError where
    the material does not fit.
    """

    __slots__ = ("_algorithm", "_material", "issuer")

    def __init__(self, algorithm: str, material: object, *, issuer: str | None = None) -> None:
        self.issuer = issuer
        self._algorithm = jwt.get_algorithm_by_name(algorithm)
        self._material = self._algorithm.prepare_key(material)

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`. Never raises, whatever the bytes."""
        return self._algorithm.verify(message, self._material, signature)


class KeySource(Protocol):
    """Where the verifier gets its keys from, for the life of the process."""

    @property
    def algorithms(self) -> frozenset[str]:
        """The `alg` values that tokens may have (RFC 7518, section 3.1)."""

    @property
    def version(self) -> int:
        """A number that changes whenever the keys do. What an earlier version vouched for must be checked again."""

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Return at once the keys that may have signed a token with this header: none if none is at hand."""

    async def search(self, kid: str | None, algorithm: str, *, deadline: Deadline | None = None) -> Sequence[Key]:
        """Return what `find` would after looking for newer keys, unless that was done a moment ago.

        Nothing means that the issuer has no such key. Raises Unavailable if that is not known by the deadline, without
        one in ANSWER_WITHIN.
        """

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return if there are keys, else raise Unavailable with the reason, by the deadline as `search` does."""

    async def open(self) -> None:
        """Begin to load the keys, without waiting for them."""

    async def aclose(self) -> None:
        """End what is under way."""


class SharedSecrets:
    """Secrets that the issuer signs with too (HS256). With several, a token may be signed with any of them.

    To rotate: add the new secret, let the issuer sign with it, remove the old one when its last token has expired.
    A token's `kid` is ignored: secrets have no names. Raises ValueError for no secret, for one of fewer than
    SHORTEST_SECRET bytes, and for one that is a public key, a certificate or a JWK in disguise. No sentence has a
    secret in it.
    """

    algorithms: Final = frozenset({"HS256"})
    version: Final = 0

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise ValueError("there must be at least one secret")
        self._keys = tuple(_secret_key(place, secret) for place, secret in enumerate(secrets, 1))

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:  # noqa: ARG002 - the secrets have no names
        """Return a key for each secret, always in the order in which they were given."""
        return self._keys if algorithm in self.algorithms else ()

    async def search(self, kid: str | None, algorithm: str, *, deadline: Deadline | None = None) -> Sequence[Key]:  # noqa: ARG002  nothing is waited for
        """Return the same: there is nowhere to look."""
        return self.find(kid, algorithm)

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return: secrets are always there."""

    async def open(self) -> None:
        """Do nothing: there is nothing to load."""

    async def aclose(self) -> None:
        """Do nothing: nothing is under way."""


def _secret_key(place: int, secret: bytes) -> Key:
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(
            f"secret {place} has {len(secret)} bytes and needs at least {SHORTEST_SECRET}: "
            "`openssl rand -base64 48` makes a good one"
        )
    try:
        return Key("HS256", secret)
    except jwt.InvalidKeyError:
        raise ValueError(
            f"secret {place} is a public key, a certificate or a JWK, which others know: "
            "use random bytes, or the URL of the key set"
        ) from None
