"""Parses a JSON Web Key Set (RFC 7517) into the keys that are fit to verify signatures."""

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
"""The most keys in a document, fit or not, because each takes time to parse."""

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
"""The algorithms of each kind of key. The first one applies to a key without `alg`."""

_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class PublicKey(NamedTuple):
    """The identity of a key: its name, its algorithm, and its DER encoding."""

    kid: str | None
    algorithm: str
    der: bytes


class KeySet:
    """Public keys, found by the header of a token. `left_out` has the reason for each unfit key."""

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
        """The number of keys for each algorithm."""
        return {algorithm: len(keys) for algorithm, keys in sorted(self._by_algorithm.items())}

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Return the key of this name and algorithm; without a name, the only key for the algorithm; or nothing."""
        if kid is not None:
            return self._named.get((kid, algorithm), ())
        candidates = self._by_algorithm.get(algorithm, ())
        return candidates if len(candidates) == 1 else ()


def parse_key_set(document: bytes, *, issuer: str | None = None) -> KeySet:
    """Return the fit keys of a key set; raise ValueError in a few words if it is not one or has no fit key.

    Fit are Ed25519 keys for EdDSA, P-256, P-384 and P-521 keys for ES256, ES384 and ES512, and RSA keys of RSA_BITS for
    RS256 or, with that `alg`, PS256, unless their `alg`, `use` or `key_ops` says otherwise. A key that includes its
    private half is compromised, so it is left out. If two fit keys of one algorithm have the same `kid`, both are left
    out. With `issuer`, the keys are valid for that issuer only.
    """
    members = strict_json(document)
    if not isinstance(members, dict) or not isinstance(jwks := members.get("keys"), list):
        raise ValueError("not a key set")  # noqa: TRY004 - the document is wrong, not the caller's argument
    if len(jwks) > MOST_KEYS:
        raise ValueError(f"more than {MOST_KEYS} keys")
    fit: dict[PublicKey, Key] = {}
    left_out = []
    for number, jwk in enumerate(jwks, 1):
        try:
            public, key = _fit(jwk, issuer)
        except _Unfit as problem:
            left_out.append(f"key {number}{_name(jwk)} {problem}")
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
    """A key is left out; `str()` is the rest of a sentence about it."""


def _fit(jwk: object, issuer: str | None) -> tuple[PublicKey, Key]:
    """Return a key of a set with its identity. Raises _Unfit."""
    if not isinstance(jwk, dict):
        raise _Unfit("is not an object")
    jwk = {
        name: value for name, value in jwk.items() if value is not None
    }  # some providers send null for absent members
    algorithm = _algorithm(jwk)
    if jwk.get("use", "sig") != "sig":
        raise _Unfit("has a use other than sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise _Unfit("has key_ops without verify")
    if jwk.keys() & _SECRET_MEMBERS:
        raise _Unfit("includes its private half or is a secret")
    kid = jwk.get("kid")
    if not isinstance(kid, str | None):
        raise _Unfit("has a kid that is not a string")
    try:
        public = jwt.get_algorithm_by_name(algorithm).from_jwk(jwk)
    except (jwt.InvalidKeyError, UnsupportedAlgorithm, TypeError, ValueError):
        public = None
    if not isinstance(public, Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey):
        raise _Unfit("has members that do not form a key")
    if isinstance(public, RSAPublicKey) and public.key_size not in RSA_BITS:
        raise _Unfit(f"has {public.key_size} bits, not {RSA_BITS.start} to {RSA_BITS.stop - 1}")
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(kid, algorithm, der), Key(algorithm, public, issuer=issuer)


def _algorithm(jwk: Mapping[str, object]) -> str:
    """Return the algorithm of a key. Raises _Unfit."""
    kind = jwk.get("kty"), jwk.get("crv")
    known = _ALGORITHMS.get(kind, ()) if all(isinstance(one, str | None) for one in kind) else ()
    if not known:
        raise _Unfit("is of a type or on a curve that is not supported")
    said = jwk.get("alg", known[0])
    algorithm = ALIASES.get(said, said) if isinstance(said, str) else ""
    if algorithm not in known:
        raise _Unfit(f"has an alg other than {' or '.join(known)}")
    return algorithm


def _name(jwk: object) -> str:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return f" ({kid[:64]!r})" if isinstance(kid, str) else ""
