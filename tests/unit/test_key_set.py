"""Which keys of a key set are used, and which are left out."""

import inspect
import json
import sys
from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519

from support.issuers import KEY_SET, Issuer, b64, b64_int, dumps, public_jwk, rsa_key, sign
from todo_adapters.auth.key_set import MOST_KEYS, parse_key_set

NULL = object()
"""A member that is null, where None leaves it out."""


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


def parsed(*keys, **members):
    return parse_key_set(dumps({"keys": list(keys), **members}))


def fresh(**members):
    return public_jwk(ed25519.Ed25519PrivateKey.generate(), **members)


@pytest.mark.parametrize("algorithm", KEY_SET)
@pytest.mark.parametrize(
    "members",
    [
        {},
        {"use": None},
        {"key_ops": ["verify"]},
        {"use": NULL, "key_ops": NULL, "x5c": NULL},
        {"x5c": ["MIIB"], "exp": 1},
    ],
)
def test_a_key_serves_its_own_algorithm_alone(issuer, algorithm, members):
    given = {name: value for name, value in {**issuer.jwk(algorithm), **members}.items() if value is not None}
    jwk = {name: None if value is NULL else value for name, value in given.items()}
    keys = parsed(jwk)
    [key] = keys.find(issuer.kids[algorithm], algorithm)
    assert key.signed(b"message", sign(issuer.keys[algorithm], b"message", algorithm))
    assert not key.signed(b"massage", sign(issuer.keys[algorithm], b"message", algorithm))
    others = {*KEY_SET, "HS256", "none"} - {algorithm}
    assert [keys.find(kid, other) for other in others for kid in (issuer.kids[algorithm], None)] == [()] * 14


@pytest.mark.parametrize("algorithm", [*KEY_SET, "Ed25519"])
@pytest.mark.parametrize("said", [None, NULL])
def test_a_key_that_names_no_algorithm_serves_its_kinds_first_alone(issuer, algorithm, said):
    owner = "EdDSA" if algorithm == "Ed25519" else algorithm
    jwk = {**issuer.jwk(owner), "alg": None}
    keys = parsed(jwk if said is NULL else {name: value for name, value in jwk.items() if name != "alg"})
    first = {"PS256": "RS256", "Ed25519": "EdDSA"}.get(algorithm, algorithm)
    assert keys.algorithms == {first: 1}
    assert len(keys.find(issuer.kids[owner], first)) == 1


def test_ed25519_is_a_name_for_eddsa(issuer):
    assert parsed({**issuer.jwk("EdDSA"), "alg": "Ed25519"}).algorithms == {"EdDSA": 1}


def unfit(issuer):
    """Keys that must be left out, by what is wrong with them."""
    ed, p256, rsa = (issuer.jwk(algorithm) for algorithm in ("EdDSA", "ES256", "RS256"))
    raw = ed25519.Ed25519PrivateKey.generate()
    p384, p521 = issuer.jwk("ES384"), issuer.jwk("ES512")
    k256 = public_jwk(ec.generate_private_key(ec.SECP256K1()))
    x = b64(x25519.X25519PrivateKey.generate().public_key().public_bytes_raw())
    return {
        "a secret": {"kty": "oct", "k": b64(b"x" * 32), "alg": "HS256", "kid": "a"},
        "a secret without alg": {"kty": "oct", "k": b64(b"x" * 32)},
        "for encryption": {**ed, "use": "enc"},
        "for an unknown use": {**ed, "use": "SIG"},
        "for signing alone": {**ed, "key_ops": ["sign"]},
        "for no operation": {**ed, "key_ops": []},
        "with operations in a string": {**ed, "key_ops": "verify"},
        "for another algorithm": {**ed, "alg": "ES256"},
        "for HS256": {**ed, "alg": "HS256"},
        "for none": {**rsa, "alg": "none"},
        "for RS384": {**rsa, "alg": "RS384"},
        "for PS512": {**rsa, "alg": "PS512"},
        "for ES384 on P-256": {**p256, "alg": "ES384"},
        "for ES256 on P-521": {**p521, "alg": "ES256"},
        "for Ed448": {**ed, "alg": "Ed448"},
        "for RS512": {**rsa, "alg": "RS512"},
        "for RSA encryption": {**rsa, "alg": "RSA-OAEP"},
        "for a list": {**rsa, "alg": ["RS256"]},
        "with its private half": {**public_jwk(raw), "d": b64(raw.private_bytes_raw())},
        "with another private half": {**rsa, "d": "AQAB"},
        "with a prime": {**rsa, "p": "AQAB"},
        "on P-384 and called P-256": {**p384, "crv": "P-256", "alg": "ES256"},
        "on P-521 and called P-384": {**p521, "crv": "P-384", "alg": "ES384"},
        "on P-256 and called P-521": {**p256, "crv": "P-521", "alg": "ES512"},
        "on secp256k1": k256,
        "on secp256k1 and called P-256": {**k256, "crv": "P-256"},
        "on X25519": {"kty": "OKP", "crv": "X25519", "x": x},
        "on Ed448": {"kty": "OKP", "crv": "Ed448", "x": b64(b"x" * 57)},
        "beside the curve": {**p256, "y": p256["x"]},
        "with a short coordinate": {**p256, "x": b64(b"x" * 31)},
        "without a coordinate": {"kty": "EC", "crv": "P-256", "x": p256["x"]},
        "with a number for a coordinate": {**p256, "x": 1},
        "with null for a coordinate": {**ed, "x": None},
        "with a surrogate for a coordinate": {**ed, "x": "\ud800"},
        "with a short Ed25519 key": {**ed, "x": b64(b"x" * 31)},
        "without a curve": {"kty": "OKP", "x": ed["x"]},
        "of another type": {**ed, "kty": "EC"},
        "of a type that is a list": {**ed, "kty": ["OKP"]},
        "without a type": {name: value for name, value in ed.items() if name != "kty"},
        "of RSA with 1,024 bits": public_jwk(rsa_key(1024)),
        "of RSA with 16,384 bits": {**rsa, "n": b64_int(2**16383 + 1)},
        "of RSA with a million bits": {**rsa, "n": b64_int(2**1_000_000 + 1)},
        "of RSA with exponent 1": {**rsa, "e": b64_int(1)},
        "of RSA with exponent 2": {**rsa, "e": b64_int(2)},
        "of RSA without modulus": {"kty": "RSA", "e": rsa["e"]},
        "of RSA with an empty modulus": {**rsa, "n": ""},
        "of RSA with a list for a modulus": {**rsa, "n": [1]},
        "with a number for a name": {**ed, "kid": 1},
        "with a list for a name": {**ed, "kid": ["a"]},
        "with nothing at all": {},
        "which is null": None,
        "which is a string": "key",
        "which is a number": 1,
        "which is a list": [ed],
        "which is true": True,
    }


def test_unfit_keys_are_left_out_and_the_others_serve(issuer):
    good = fresh(kid="good")
    for name, key in unfit(issuer).items():
        keys = parsed(key, good)
        assert (name, len(keys), len(keys.left_out)) == (name, 1, 1)
        assert keys.left_out[0].startswith("key 1 "), name
        assert len(keys.find("good", "EdDSA")) == 1
        with pytest.raises(ValueError, match="no fit key"):
            parsed(key)


def test_a_name_that_two_keys_bear_is_nobodys():
    keys = parsed(fresh(kid="a"), fresh(kid="a"), fresh(kid="b"))
    assert (len(keys), keys.left_out) == (1, ("2 keys for EdDSA have the same kid",) * 2)
    assert keys.find("a", "EdDSA") == ()
    assert len(keys.find("b", "EdDSA")) == 1


def test_a_name_and_an_algorithm_together_name_a_key(issuer):
    jwks = [{**issuer.jwk(algorithm), "kid": "a"} for algorithm in KEY_SET]
    keys = parsed(*jwks, {**issuer.jwk("RS256"), "kid": "a", "alg": "RS512"})
    for algorithm in KEY_SET:
        [key] = keys.find("a", algorithm)
        assert key.signed(b"m", sign(issuer.keys[algorithm], b"m", algorithm))
    same = parsed({**issuer.jwk("RS256"), "kid": "a"}, {**issuer.jwk("RS256"), "kid": "a", "alg": "PS256"})
    assert same.algorithms == {"PS256": 1, "RS256": 1}


def test_keys_without_a_name_are_not_ambiguous_by_it():
    assert len(parsed(fresh(), fresh(), fresh(kid="a"))) == 3


def test_an_unfit_key_takes_no_name_away():
    assert len(parsed(fresh(kid="a"), fresh(kid="a", use="enc")).find("a", "EdDSA")) == 1


def test_the_same_key_twice_is_one_key():
    key = fresh(kid="a")
    assert len(parsed(key, {**key, "alg": "EdDSA"}).find("a", "EdDSA")) == 1


def test_a_token_without_a_name_is_for_the_only_key_of_its_algorithm(issuer):
    one = parsed(issuer.jwk("EdDSA"), issuer.jwk("ES256"), issuer.jwk("RS256"))
    assert [len(one.find(None, algorithm)) for algorithm in ("EdDSA", "ES256", "RS256", "HS256")] == [1, 1, 1, 0]
    assert one.algorithms == {"ES256": 1, "EdDSA": 1, "RS256": 1}
    assert parsed(issuer.jwk("EdDSA"), fresh(kid="other")).find(None, "EdDSA") == ()
    assert parsed(fresh(), fresh()).find(None, "EdDSA") == ()
    assert len(parsed(fresh()).find(None, "EdDSA")) == 1


def test_a_key_without_a_name_is_not_found_by_one():
    keys = parsed(fresh(), fresh(kid=""))
    assert [len(keys.find(name, "EdDSA")) for name in ("", "None", "null", "0")] == [1, 0, 0, 0]


def test_order_and_foreign_members_make_no_other_set(issuer):
    jwks = issuer.jwks()["keys"]
    assert parsed(*jwks).identity == parsed(*reversed([{**jwk, "x5t": "a"} for jwk in jwks]), issuer="x").identity
    assert parsed(*jwks).identity != parsed(*jwks[1:]).identity
    assert parsed(*jwks).identity != parsed({**jwks[0], "kid": "other"}, *jwks[1:]).identity


GOOD = dumps({"keys": [fresh(kid="a")]})
BROKEN = {
    "empty": b"",
    "HTML": b"<!doctype html><title>502</title>",
    "null": b"null",
    "a list": dumps([fresh()]),
    "one key": dumps(fresh()),
    "no keys": b"{}",
    "an empty list": b'{"keys":[]}',
    "null for keys": b'{"keys":null}',
    "a string for keys": b'{"keys":"abc"}',
    "an object for keys": dumps({"keys": {"a": fresh()}}),
    "cut": GOOD[:-1],
    "more behind": GOOD + b"}",
    "keys twice": b'{"keys":[],' + GOOD[1:],
    "a member twice": GOOD.replace(b'"kid":"a"', b'"kid":"a","kid":"a"'),
    "UTF-16": GOOD.decode().encode("utf-16"),
    "a byte order mark": GOOD.decode().encode("utf-8-sig"),
    "no UTF-8": GOOD.replace(b'"a"', b'"\xff"'),
    "NaN": GOOD.replace(b'"a"', b"NaN"),
    "arrays in arrays": b'{"keys":' + b"[" * 100_000,
    "objects in objects": b'{"keys":' * 50_000,
    "400 deep": b'{"keys":' + b"[" * 400 + b"]" * 400 + b"}",
    "too many keys": dumps({"keys": [fresh(kid=str(n)) for n in range(MOST_KEYS + 1)]}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_key_set_is_a_value_error_with_a_short_sentence(name):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the kind is the contract, whatever the sentence
        parse_key_set(BROKEN[name])
    assert len(str(refused.value)) < 150 or name == "no UTF-8" or name.startswith("UTF")


def test_a_nested_document_is_a_value_error_where_the_stack_is_nearly_used_up():
    def deeper(left):
        return deeper(left - 1) if left else parse_key_set(BROKEN["400 deep"])

    with pytest.raises(ValueError, match=r"nested too deeply|no fit key"):
        deeper(sys.getrecursionlimit() - len(inspect.stack(0)) - 100)


def test_a_hundred_keys_are_read_in_no_time():
    keys = parsed(*(fresh(kid=str(n), x5c=[urlsafe_b64encode(b"x" * 300).decode()]) for n in range(MOST_KEYS)))
    assert len(keys) == MOST_KEYS


def test_signatures_of_any_bytes_raise_nothing(issuer):
    keys = parse_key_set(json.dumps(issuer.jwks()).encode())
    for algorithm in KEY_SET:
        [key] = keys.find(None, algorithm)
        for size in (0, 1, 31, 32, 63, 64, 65, 96, 127, 128, 132, 255, 256, 257, 512, 6000):
            for byte in (b"\0", b"\1", b"\x7f", b"\xff"):
                assert not key.signed(b"", byte * size)
