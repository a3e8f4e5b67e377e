"""A JSON Web Key Set (RFC 7517): the keys of a document that are fit to check signatures with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from todo_adapters.auth.keys import Key
from todo_adapters.auth.strict_json import strict_json

MOST_KEYS: Final = 100
"""Keys in a document at most, fit or not: each takes time to read."""

RSA_BITS: Final = range(2048, 8192 + 1)
"""Sizes of RSA keys: shorter ones are too weak (RFC 7518, section 3.3), longer ones too slow."""

_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class PublicKey(NamedTuple):
    """What tells one key from another: its name, its algorithm, and its DER encoding."""

    kid: str | None
    algorithm: str
    der: bytes


class KeySet:
    """Public keys, found by what the header of a token says. `left_out` counts those that were not fit."""

    def __init__(self, keys: Iterable[tuple[PublicKey, Key]] = (), *, left_out: int = 0) -> None:
        named = dict(keys)
        self.identity = frozenset(named)
        self.left_out = left_out
        self._named = {(public.kid, public.algorithm): (key,) for public, key in named.items()}
        self._by_algorithm: defaultdict[str, list[Key]] = defaultdict(list)
        for public, key in named.items():
            self._by_algorithm[public.algorithm].append(key)

    def __len__(self) -> int:
        return len(self.identity)

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Return the key of this name and algorithm; without a name, the only key for the algorithm; or nothing."""
        if kid is not None:
            return self._named.get((kid, algorithm), ())
        candidates = self._by_algorithm.get(algorithm, ())
        return candidates if len(candidates) == 1 else ()


def parse_key_set(document: bytes) -> KeySet:
    """Return the fit keys of a key set, or raise ValueError in a few words: no key set, or no fit key in it.

    Fit are Ed25519 keys for EdDSA, P-256 keys for ES256 and RSA keys of RSA_BITS for RS256 that are not meant for
    another `alg`, `use` or `key_ops`. A key that shows its private half is nobody's any more. A `kid` that names two
    fit keys names none: both are left out.
    """
    members = strict_json(document)
    if not isinstance(members, dict) or not isinstance(jwks := members.get("keys"), list):
        raise ValueError("not a key set")  # noqa: TRY004 - it is the document's fault, not the caller's
    if len(jwks) > MOST_KEYS:
        raise ValueError(f"more than {MOST_KEYS} keys")
    fit = dict(found for jwk in jwks if (found := _fit(jwk)))
    bearers = Counter(public.kid for public in fit)
    unambiguous = {public: key for public, key in fit.items() if public.kid is None or bearers[public.kid] == 1}
    if not unambiguous:
        raise ValueError("no fit key in it")
    return KeySet(unambiguous.items(), left_out=len(jwks) - len(unambiguous))


def _fit(jwk: object) -> tuple[PublicKey, Key] | None:
    """Return a key of a set with what tells it apart, None if it is not fit."""
    if not isinstance(jwk, dict):
        return None
    match jwk:
        case {"kty": "OKP", "crv": "Ed25519"}:
            algorithm = "EdDSA"
        case {"kty": "EC", "crv": "P-256"}:
            algorithm = "ES256"
        case {"kty": "RSA"}:
            algorithm = "RS256"
        case _:
            return None
    jwk = {name: value for name, value in jwk.items() if value is not None}  # some providers write null for nothing
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig" or jwk.keys() & _SECRET_MEMBERS:
        return None
    if not isinstance(operations, list) or "verify" not in operations or not isinstance(kid, str | None):
        return None
    try:
        public = jwt.get_algorithm_by_name(algorithm).from_jwk(jwk)
    except (jwt.InvalidKeyError, UnsupportedAlgorithm, TypeError, ValueError):
        return None
    if not isinstance(public, Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey):
        return None
    if isinstance(public, RSAPublicKey) and public.key_size not in RSA_BITS:
        return None
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(kid, algorithm, der), Key(algorithm, public)
