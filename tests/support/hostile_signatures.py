"""Tokens whose signature, algorithm or key is not the issuer's, or is made or named in a wrong way."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA224, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support.issuers import HASHES, KEY_SET, Issuer, b64, compact, dumps, raw, rsa_key, sign

Row = tuple[str, str, str]
"""A name, a token, and the reason for which it is refused."""

Mode = Literal["secret", "jwks"]
ALGORITHMS: dict[Mode, tuple[str, ...]] = {"secret": ("HS256",), "jwks": KEY_SET}

_ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def hostile_algorithms(mode: Mode, keys: Issuer, claims: dict[str, object]) -> Iterator[Row]:
    names = ["none", "None", "NONE", "nOnE", "", " ", "HS384", "HS512", "RS384", "RS512", "PS384", "PS512", "RS1"]
    names += ["ES256K", "ESP256", "ed25519", "Ed448", "dir", "ECDH-ES", "RSA-OAEP", "A128KW", "HS256\0"]
    names += ["hs256", " HS256", "eddsa", "EDDSA", "es256", "\uff28\uff33\uff12\uff15\uff16", "../HS256"]
    names += [*KEY_SET, "Ed25519"] if mode == "secret" else ["HS256"]
    main = ALGORITHMS[mode][0]
    for name in names:
        yield f"algorithm: {name!r}", keys.token(main, claims, {**keys.header(main), "alg": name}), "algorithm"
        if mode == "jwks":
            yield f"algorithm: {name!r} without kid", keys.token(main, claims, {"alg": name}), "algorithm"
    for name, secret in _public_secrets(keys).items():
        for kid in ({}, {"kid": keys.kids["EdDSA"]}):
            token = compact({"alg": "HS256", **kid}, claims, secret)
            reason = "signature" if mode == "secret" else "algorithm"
            yield f"confusion: HS256 with {name} and {'a' if kid else 'no'} kid", token, reason


def _public_secrets(keys: Issuer) -> dict[str, bytes]:
    """Public values that a careless service uses as an HMAC secret."""
    found = {"nothing": b"", "the word secret": b"secret", "the key set": dumps(keys.jwks()), "NUL": b"\0" * 32}
    for algorithm in ALGORITHMS["jwks"]:
        key = keys.keys[algorithm]
        assert not isinstance(key, bytes)
        public = key.public_key()
        jwk = keys.jwk(algorithm)
        coordinate = str(jwk.get("x") or jwk["n"])
        found |= {
            f"the PEM of {algorithm}": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            f"the DER of {algorithm}": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            f"the JWK of {algorithm}": dumps(jwk),
            f"the text of {algorithm}": coordinate.encode(),
            f"the raw bytes of {algorithm}": urlsafe_b64decode(coordinate + "=="),
            f"the kid of {algorithm}": keys.kids[algorithm].encode(),
        }
    return found


def hostile_keys(keys: Issuer, claims: dict[str, object]) -> Iterator[Row]:
    kid = keys.kids["EdDSA"]
    kids = ["", " ", "0", "../../../dev/null", "' OR 1=1 --", "key\0", "\ud800", "k" * 4000, f"{kid} ", f" {kid}"]
    kids += [kid.swapcase(), kid[:-1], secrets.token_urlsafe(12), "https://else.example/key", "%s%n{0}", "\n", "*"]
    for name in kids:
        yield f"key: {name[:30]!r}", keys.token("EdDSA", claims, {"alg": "EdDSA", "kid": name}), "key_unknown"
    for name in ("none", "HS256", "RS512", "ES256K"):
        claimed = {"alg": "Ed25519", "kid": name}
        yield f"key: Ed25519 with the kid {name}", keys.token("EdDSA", claims, claimed), "key_unknown"
    for algorithm in ALGORITHMS["jwks"]:
        for other in {*ALGORITHMS["jwks"]} - {algorithm}:
            header = {"alg": algorithm, "kid": keys.kids[other]}
            yield f"key: {algorithm} with the kid of {other}", keys.token(algorithm, claims, header), "key_unknown"


def hostile_signatures(keys: Issuer, algorithm: str, claims: dict[str, object]) -> Iterator[Row]:
    good = keys.token(algorithm, claims)
    message, _, encoded = good.rpartition(".")
    head, _, body = message.partition(".")
    signature = urlsafe_b64decode(encoded + "==")
    other_claims = b64(dumps({**claims, "sub": "admin"}))
    other_head = b64(dumps(keys.header(algorithm, typ="JWT")))
    stranger = Issuer()
    stranger.keys |= {"RS256": rsa_key(owner="stranger"), "PS256": rsa_key(owner="stranger")}
    size = len(signature)
    wrong = {
        "one bit": bytes([signature[0] ^ 1, *signature[1:]]),
        "the last bit": bytes([*signature[:-1], signature[-1] ^ 1]),
        "every bit": bytes(byte ^ 255 for byte in signature),
        "one byte short": signature[:-1],
        "one byte long": signature + b"\0",
        "one byte before": b"\0" + signature,
        "half of it": signature[: size // 2],
        "twice": signature * 2,
        "one byte": b"\0",
        "4,000 bytes": b"\1" * 4000,
        "zeros": bytes(size),
        "ones": b"\xff" * size,
        "noise": secrets.token_bytes(size),
        "backwards": signature[::-1],
        "the message": message.encode(),
        "hexadecimal": signature.hex().encode(),
        "base64 of it": encoded.encode(),
        "of the payload alone": sign(keys.keys[algorithm], body.encode(), algorithm),
        "of the decoded parts": sign(keys.keys[algorithm], urlsafe_b64decode(body + "=="), algorithm),
        "of both without a dot": sign(keys.keys[algorithm], message.replace(".", "").encode(), algorithm),
        "by a stranger": sign(stranger.keys[algorithm], message.encode(), algorithm),
        **_other_signatures(keys, algorithm, message.encode(), signature),
    }
    for name, forged in wrong.items():
        yield f"signature: {name}", f"{message}.{b64(forged)}", "signature"
    yield "signature: of other claims", f"{head}.{other_claims}.{encoded}", "signature"
    yield "signature: of another header", f"{other_head}.{body}.{encoded}", "signature"
    if algorithm != "HS256":
        token = stranger.token(algorithm, claims, {"alg": algorithm})
        yield "signature: by a stranger, without kid", token, "signature"


def _other_signatures(keys: Issuer, algorithm: str, message: bytes, signature: bytes) -> dict[str, bytes]:
    """Signatures as made with the right key in a wrong way."""
    key = keys.keys[algorithm]
    half = len(signature) // 2
    if isinstance(key, bytes):
        return {
            "SHA-512": hmac.digest(key, message, "sha512"),
            "SHA-512, cut": hmac.digest(key, message, "sha512")[:32],
            "SHA-1": hmac.digest(key, message, "sha1"),
            "a hash without HMAC": hashlib.sha256(key + message).digest(),
            "a plain hash": hashlib.sha256(message).digest(),
            "the secret and a line feed": sign(key + b"\n", message),
            "the secret cut": sign(key[:32], message),
            "the secret backwards": sign(key[::-1], message),
            "the decoded secret": sign(urlsafe_b64decode(key), message),
        }
    if isinstance(key, ed25519.Ed25519PrivateKey):
        scalar = int.from_bytes(signature[half:], "little") + _ED25519_ORDER
        return {
            "a scalar beyond the order": signature[:half] + scalar.to_bytes(half, "little"),
            "the neutral point": b"\1" + bytes(63),
            "the halves swapped": signature[half:] + signature[:half],
        }
    if isinstance(key, rsa.RSAPrivateKey):
        return _other_rsa_signatures(key, algorithm, message, signature)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return _other_ecdsa_signatures(key, message, signature)


def _other_rsa_signatures(key: rsa.RSAPrivateKey, algorithm: str, message: bytes, signature: bytes) -> dict[str, bytes]:
    modulus = key.public_key().public_numbers().n
    more = int.from_bytes(signature, "big") + modulus
    size = len(signature)

    def salted(length: int, *, mask: HashAlgorithm | None = None, hashed: HashAlgorithm | None = None) -> bytes:
        pss = padding.PSS(mgf=padding.MGF1(mask or SHA256()), salt_length=length)
        return key.sign(message, pss, hashed or SHA256())

    wrong = {
        "the other padding": sign(key, message, "RS256" if algorithm == "PS256" else "PS256"),
        "SHA-512": key.sign(message, padding.PKCS1v15(), SHA512()),
        "SHA-1": key.sign(message, padding.PKCS1v15(), SHA1()),
        "the modulus": modulus.to_bytes(size, "big"),
        "the modulus less 1": (modulus - 1).to_bytes(size, "big"),
        "1": (1).to_bytes(size, "big"),
        "the modulus added": more.to_bytes((more.bit_length() + 7) // 8, "big"),
        "the message unpadded": message[:size].rjust(size, b"\0"),
        "salted with SHA-512": salted(32, hashed=SHA512(), mask=SHA512()),
        "salted with SHA-384": salted(48, hashed=SHA384(), mask=SHA384()),
        "salted, masked with SHA-1": salted(32, mask=SHA1()),
        "salted, masked with SHA-512": salted(32, mask=SHA512()),
    }
    lengths = {0, 1, 8, 20, 31, 33, 48, 64, size - 34}
    return wrong | {f"a salt of {length} bytes": salted(length) for length in lengths}


ORDERS = {
    256: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    384: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    521: 2**521 - 2**260 + 0xA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
}
"""The orders of the curves (FIPS 186-4, D.1.2), by their bits."""


def _other_ecdsa_signatures(key: ec.EllipticCurvePrivateKey, message: bytes, signature: bytes) -> dict[str, bytes]:
    bits = key.curve.key_size
    order, size, own = ORDERS[bits], (bits + 7) // 8, HASHES[bits]
    r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))

    def of(*numbers: int) -> bytes:
        return b"".join(number.to_bytes(size, "big") for number in numbers)

    most = 256**size - 1
    pairs = {
        "r is 0": (0, s),
        "s is 0": (r, 0),
        "r and s are 0": (0, 0),
        "r and s are 1": (1, 1),
        "r is 1": (1, s),
        "s is 1": (r, 1),
        "r is the order": (order, s),
        "s is the order": (r, order),
        "r and s are the order": (order, order),
        "r and s are the order less 1": (order - 1, order - 1),
        "r is the order and 1": (order + 1, s),
        "r is 0 and s the order": (0, order),
        "r is as large as can be": (most, s),
        "s is as large as can be": (r, most),
        "the halves swapped": (s, r),
        "r negated": (order - r, s),
    }
    if r + order <= most:
        pairs |= {"the order added to r": (r + order, s)}
    if s + order <= most:
        pairs |= {"the order added to s": (r, s + order)}
    der = key.sign(message, ec.ECDSA(own()))
    other = ec.SECP384R1() if bits == 256 else ec.SECP256R1()
    return {
        **{name: of(*pair) for name, pair in pairs.items()},
        "DER": der,
        "DER, filled up": der.ljust(2 * size, b"\0")[: 2 * size],
        "of another hash": raw(key, key.sign(message, ec.ECDSA(SHA1()))),
        "of the message's SHA-224": raw(key, key.sign(message, ec.ECDSA(SHA224()))),
        "one byte more in each half": b"\0" + signature[:size] + b"\0" + signature[size:],
        "one byte less in each half": signature[1:size] + signature[size + 1 :],
        "half of it twice": signature[:size] * 2,
        "another curve": sign(ec.generate_private_key(other), message),
        "another curve, filled up": sign(ec.generate_private_key(other), message).ljust(2 * size, b"\0")[: 2 * size],
    }
