"""The keys that verify signatures, each with its one algorithm, and the secrets shared with the issuer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import jwt

from todo_domain.deadline import Deadline

SHORTEST_SECRET: Final = 32
"""The fewest bytes of an HS256 secret (RFC 7518, section 3.2)."""


ALIASES: Final = {"Ed25519": "EdDSA"}
"""Other names of algorithms (RFC 9864, section 2.2). Ed25519 is the only supported curve of EdDSA."""


class Key:
    """A key and its one algorithm, which a token cannot change. Its repr does not show the key.

    `material` is the key in the form of PyJWT's algorithm of that name: bytes for HS256, else a public key of
    `cryptography`. `issuer` is the only issuer that the key is valid for, None if it is valid for all. Raises
    jwt.InvalidKeyError if the material does not fit.
    """

    __slots__ = ("_algorithm", "_material", "issuer")

    def __init__(self, algorithm: str, material: object, *, issuer: str | None = None) -> None:
        self.issuer = issuer
        self._algorithm = jwt.get_algorithm_by_name(algorithm)
        self._material = self._algorithm.prepare_key(material)

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether `signature` is this key's signature of `message`. Does not raise for any bytes."""
        return self._algorithm.verify(message, self._material, signature)


class KeySource(Protocol):
    """The source of the verifier's keys, while the process runs."""

    @property
    def algorithms(self) -> frozenset[str]:
        """The `alg` values that tokens may have (RFC 7518, section 3.1)."""

    @property
    def version(self) -> int:
        """A number that changes with the keys; verified tokens must then be verified again."""

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Return at once the loaded keys that may have signed a token with this header, possibly none."""

    async def search(self, kid: str | None, algorithm: str, *, deadline: Deadline | None = None) -> Sequence[Key]:
        """Return the result of `find` after loading newer keys, unless they were loaded a moment ago.

        An empty result means that the issuer has no such key. Raises Unavailable if that is not known by the deadline;
        without a deadline, within RESPOND_WITHIN.
        """

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return if there are keys, else raise Unavailable with the reason, at the deadline of `search`."""

    async def open(self) -> None:
        """Begin to load the keys, without waiting for them."""

    async def aclose(self) -> None:
        """Cancel loads in progress."""


class SharedSecrets:
    """Secrets shared with the issuer (HS256). With several, a token may be signed with any of them.

    To rotate: add the new secret, let the issuer sign with it, and remove the old one when its last token has expired.
    A token's `kid` is ignored, because secrets have no names. Raises ValueError if there is no secret, if one has fewer
    than SHORTEST_SECRET bytes, and if one is a public key, a certificate or a JWK. No message contains a secret.
    """

    algorithms: Final = frozenset({"HS256"})
    version: Final = 0

    def __init__(self, secrets: Sequence[bytes]) -> None:
        if not secrets:
            raise ValueError("there must be at least one secret")
        self._keys = tuple(_secret_key(number, secret) for number, secret in enumerate(secrets, 1))

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:  # noqa: ARG002 - secrets have no names
        """Return a key for each secret, in the given order."""
        return self._keys if algorithm in self.algorithms else ()

    async def search(self, kid: str | None, algorithm: str, *, deadline: Deadline | None = None) -> Sequence[Key]:  # noqa: ARG002  there is nothing to wait for
        """Return the same as `find`, because there are no newer keys."""
        return self.find(kid, algorithm)

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return: secrets are always there."""

    async def open(self) -> None:
        """Do nothing: there is nothing to load."""

    async def aclose(self) -> None:
        """Do nothing: nothing is under way."""


def _secret_key(number: int, secret: bytes) -> Key:
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(
            f"secret {number} has {len(secret)} bytes and needs at least {SHORTEST_SECRET}: "
            "`openssl rand -base64 48` makes a good one"
        )
    try:
        return Key("HS256", secret)
    except jwt.InvalidKeyError:
        raise ValueError(
            f"secret {number} is a public key, a certificate or a JWK, which others know: "
            "use random bytes, or the URL of the key set"
        ) from None
