"""An issuer of tokens: new keys in each run, and functions that sign any input.

Nothing here uses PyJWT, so that a mistake in it is not made on both sides.
"""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

KEY_SET = ("EdDSA", "ES256", "RS256", "ES384", "ES512", "PS256")
"""The algorithms of a key set."""

HASHES = {256: SHA256, 384: SHA384, 521: SHA512}
"""The hash that goes with a curve, by its bits (RFC 7518, section 3.4)."""

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def rsa_key(bits: int = 2048, *, owner: str = "issuer") -> rsa.RSAPrivateKey:  # noqa: ARG001 - the cache tells them apart
    """An RSA key of this run; each owner has one of a size, since making one takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def b64(data: bytes) -> str:
    """Unpadded base64url."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def b64_int(number: int, length: int | None = None) -> str:
    """A big-endian integer in base64url, as JWKs have it."""
    return b64(number.to_bytes(length or (number.bit_length() + 7) // 8, "big"))


def dumps(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def public_jwk(key: PrivateKey, **members: object) -> dict[str, Any]:
    """The public half of a key as a JWK (RFC 7517), with more members."""
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw()), **members}
    numbers = public.public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        return {"kty": "RSA", "n": b64_int(numbers.n), "e": b64_int(numbers.e), **members}
    size = (numbers.curve.key_size + 7) // 8
    curve = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}.get(numbers.curve.name, "secp256k1")
    return {"kty": "EC", "crv": curve, "x": b64_int(numbers.x, size), "y": b64_int(numbers.y, size), **members}


def sign(key: PrivateKey | bytes, message: bytes, algorithm: str = "") -> bytes:
    """The JWS signature over `message`, as the key is (RFC 7518, section 3); RSA signs RS256 unless told PS256."""
    if isinstance(key, bytes):
        return hmac.digest(key, message, hashlib.sha256)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, rsa.RSAPrivateKey):
        salted = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
        return key.sign(message, salted if algorithm == "PS256" else padding.PKCS1v15(), SHA256())
    return raw(key, key.sign(message, ec.ECDSA(HASHES[key.curve.key_size]())))


def raw(key: ec.EllipticCurvePrivateKey, der: bytes) -> bytes:
    """An ECDSA signature as JWS has it: r and s, each as long as the curve (RFC 7518, section 3.4)."""
    size = (key.curve.key_size + 7) // 8
    return b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(der))


def compact(
    header: Mapping[str, object] | bytes,
    payload: Mapping[str, object] | bytes,
    key: PrivateKey | bytes,
    algorithm: str = "",
) -> str:
    """A token of exactly these parts; bytes stay as they are, and the header does not decide how it is signed."""
    parts = [part if isinstance(part, bytes) else dumps(part) for part in (header, payload)]
    message = ".".join(map(b64, parts))
    return f"{message}.{b64(sign(key, message.encode(), algorithm))}"


_MAKE: dict[str, Callable[[], PrivateKey]] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa_key,
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "PS256": lambda: rsa_key(owner="issuer of PS256"),
}


class _Keys(dict[str, PrivateKey | bytes]):
    """The key of each algorithm, made when it is first used: most tests need one or two."""

    def __missing__(self, algorithm: str) -> PrivateKey:
        key = self[algorithm] = _MAKE[algorithm]()
        return key


class Issuer:
    """One key for each algorithm. The secret is ASCII without spaces, so that it fits in a setting."""

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(48).encode()
        self.keys = _Keys(HS256=self.secret)
        self.kids = {algorithm: secrets.token_urlsafe(12) for algorithm in ("HS256", *KEY_SET)}

    def header(self, algorithm: str, **members: object) -> dict[str, object]:
        """The header of an honest token, as Better Auth writes it; the secret has no name."""
        kid = {} if algorithm == "HS256" else {"kid": self.kids[algorithm]}
        return {"alg": algorithm, **kid, **members}

    def token(
        self,
        algorithm: str,
        payload: Mapping[str, object] | bytes,
        header: Mapping[str, object] | bytes | None = None,
    ) -> str:
        """A token signed with the key for `algorithm`, whatever the header says."""
        return compact(self.header(algorithm) if header is None else header, payload, self.keys[algorithm], algorithm)

    def jwk(self, algorithm: str) -> dict[str, Any]:
        """One public key with its name, algorithm and use."""
        key = self.keys[algorithm]
        assert not isinstance(key, bytes)
        return public_jwk(key, kid=self.kids[algorithm], alg=algorithm, use="sig")

    def jwks(self, *algorithms: str) -> dict[str, Any]:
        """The key set (RFC 7517) for these algorithms, by default all six."""
        return {"keys": [self.jwk(algorithm) for algorithm in algorithms or KEY_SET]}
