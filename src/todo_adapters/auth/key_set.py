"""A JSON Web Key Set (RFC 7517): the keys of a document that are fit to check signatures with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from todo_adapters.auth.keys import ALIASES, Key
from todo_adapters.auth.strict_json import strict_json

MOST_KEYS: Final = 100
"""Keys in a document at most, fit or not: each takes time to read."""

RSA_BITS: Final = range(2048, 8192 + 1)
"""Sizes of RSA keys: shorter ones are too weak (RFC 7518, section 3.3), longer ones too slow."""

KEY_SET_ALGORITHMS: Final = frozenset({"EdDSA", "ES256", "ES384", "ES512", "PS256", "RS256"})
"""The algorithms of a key set (RFC 7518, section 3.1; RFC 8037, section 3.1)."""

_ALGORITHMS: Final[Mapping[tuple[object, object], tuple[str, ...]]] = {
    ("OKP", "Ed25519"): ("EdDSA",),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("RSA", None): ("RS256", "PS256"),
}
"""What a kind of key may be for. The first serves a key that does not say."""

_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class PublicKey(NamedTuple):
    """What tells one key from another: its name, its algorithm, and its DER encoding."""

    kid: str | None
    algorithm: str
    der: bytes


class KeySet:
    """Public keys, found by what the header of a token says. `left_out` says of each unfit key why it is."""

    def __init__(self, keys: Iterable[tuple[PublicKey, Key]] = (), *, left_out: Sequence[str] = ()) -> None:
        named = dict(keys)
        self.identity = frozenset(named)
        self.left_out = tuple(left_out)
        self._named = {(public.kid, public.algorithm): (key,) for public, key in named.items()}
        self._by_algorithm: defaultdict[str, list[Key]] = defaultdict(list)
        for public, key in named.items():
            self._by_algorithm[public.algorithm].append(key)

    def __len__(self) -> int:
        return len(self.identity)

    @property
    def algorithms(self) -> Mapping[str, int]:
        """How many keys there are for each algorithm."""
        return {algorithm: len(keys) for algorithm, keys in sorted(self._by_algorithm.items())}

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Return the key of this name and algorithm; without a name, the only key for the algorithm; or nothing."""
        if kid is not None:
            return self._named.get((kid, algorithm), ())
        candidates = self._by_algorithm.get(algorithm, ())
        return candidates if len(candidates) == 1 else ()


def parse_key_set(document: bytes, *, issuer: str | None = None) -> KeySet:
    """Return the fit keys of a key set, or raise ValueError in a few words: no key set, or no fit key in it.

    Fit are Ed25519 keys for EdDSA, P-256, P-384 and P-521 keys for ES256, ES384 and ES512, and RSA keys of RSA_BITS
    for RS256 or, if they say so, PS256, that are not meant for another `alg`, `use` or `key_ops`. A key that shows its
    private half is nobody's any more. A `kid` that names two fit keys of one algorithm names neither. Keys of one
    `issuer` speak for that issuer alone.
    """
    members = strict_json(document)
    if not isinstance(members, dict) or not isinstance(jwks := members.get("keys"), list):
        raise ValueError("not a key set")  # noqa: TRY004 - it is the document's fault, not the caller's
    if len(jwks) > MOST_KEYS:
        raise ValueError(f"more than {MOST_KEYS} keys")
    fit: dict[PublicKey, Key] = {}
    left_out = []
    for place, jwk in enumerate(jwks, 1):
        try:
            public, key = _fit(jwk, issuer)
        except _Unfit as problem:
            left_out.append(f"key {place}{_name(jwk)} {problem}")
        else:
            fit[public] = key
    bearers = Counter((public.kid, public.algorithm) for public in fit if public.kid is not None)
    for (kid, algorithm), number in bearers.items():
        if number > 1:
            fit = {public: key for public, key in fit.items() if public[:2] != (kid, algorithm)}
            left_out += [f"{number} keys for {algorithm} have the same kid"] * number
    if not fit:
        raise ValueError("no fit key in it" if jwks else "no key in it")
    return KeySet(fit.items(), left_out=left_out)


class _Unfit(Exception):
    """Why a key is left out: the rest of a sentence about it."""


def _fit(jwk: object, issuer: str | None) -> tuple[PublicKey, Key]:
    """Return a key of a set with what tells it apart. Raises _Unfit."""
    if not isinstance(jwk, dict):
        raise _Unfit("is not an object")
    jwk = {name: value for name, value in jwk.items() if value is not None}  # some providers write null for nothing
    algorithm = _algorithm(jwk)
    if jwk.get("use", "sig") != "sig":
        raise _Unfit("has a use other than sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise _Unfit("has key_ops without verify")
    if jwk.keys() & _SECRET_MEMBERS:
        raise _Unfit("shows its private half or is a secret")
    kid = jwk.get("kid")
    if not isinstance(kid, str | None):
        raise _Unfit("has a kid that is no string")
    try:
        public = jwt.get_algorithm_by_name(algorithm).from_jwk(jwk)
    except (jwt.InvalidKeyError, UnsupportedAlgorithm, TypeError, ValueError):
        public = None
    if not isinstance(public, Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey):
        raise _Unfit("has members that make no key")
    if isinstance(public, RSAPublicKey) and public.key_size not in RSA_BITS:
        raise _Unfit(f"has {public.key_size} bits, not {RSA_BITS.start} to {RSA_BITS.stop - 1}")
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(kid, algorithm, der), Key(algorithm, public, issuer=issuer)


def _algorithm(jwk: Mapping[str, object]) -> str:
    """Return the one algorithm that a key is for. Raises _Unfit."""
    kind = jwk.get("kty"), jwk.get("crv")
    known = _ALGORITHMS.get(kind, ()) if all(isinstance(one, str | None) for one in kind) else ()
    if not known:
        raise _Unfit("is of a type or on a curve that is not taken")
    said = jwk.get("alg", known[0])
    algorithm = ALIASES.get(said, said) if isinstance(said, str) else ""
    if algorithm not in known:
        raise _Unfit(f"has an alg other than {' or '.join(known)}")
    return algorithm


def _name(jwk: object) -> str:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return f" ({kid[:64]!r})" if isinstance(kid, str) else ""
