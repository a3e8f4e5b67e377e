"""Secrets shared with the issuer: HS256 and nothing else."""

import time

import pytest

from support.hostile_claims import honest_claims
from support.issuers import Issuer, dumps, sign
from todo_adapters.auth.keys import SHORTEST_SECRET, SharedSecrets
from todo_adapters.auth.verifier import Verifier
from todo_domain.errors import Unauthenticated

PEM = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"


@pytest.fixture
def claims():
    return honest_claims(time.time())


async def test_a_token_signed_with_the_secret_is_its_subjects(claims):
    issuer = Issuer()
    verifier = Verifier(SharedSecrets([issuer.secret]))
    assert (await verifier.verify(issuer.token("HS256", claims))).user == claims["sub"]


async def test_each_of_several_secrets_will_do_and_no_other(claims):
    old, new, stranger = Issuer(), Issuer(), Issuer()
    verifier = Verifier(SharedSecrets([new.secret, old.secret]))
    for issuer in (old, new):
        assert (await verifier.verify(issuer.token("HS256", claims))).user == claims["sub"]
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(stranger.token("HS256", claims))
    assert refused.value.reason == "signature"


async def test_a_kid_means_nothing_to_a_secret(claims):
    issuer = Issuer()
    verifier = Verifier(SharedSecrets([issuer.secret]))
    for kid in ("", "2026-01", "../../etc/passwd"):
        assert (await verifier.verify(issuer.token("HS256", claims, {"alg": "HS256", "kid": kid}))).user == claims[
            "sub"
        ]


def test_secrets_are_tried_in_the_order_given():
    secrets = [Issuer().secret for _ in range(3)]
    keys = SharedSecrets(secrets)
    tried = [[key.signed(b"m", sign(secret, b"m")) for key in keys.find(None, "HS256")] for secret in secrets]
    assert tried == [[True, False, False], [False, True, False], [False, False, True]]


def test_secrets_know_one_algorithm():
    keys = SharedSecrets([Issuer().secret])
    assert keys.algorithms == {"HS256"}
    assert [keys.find(None, name) for name in ("HS384", "HS512", "EdDSA", "RS256", "none", "")] == [()] * 6


async def test_secrets_are_always_there_and_searching_finds_no_more():
    keys = SharedSecrets([Issuer().secret])
    await keys.check()
    assert await keys.search("any", "HS256") == keys.find("any", "HS256")
    assert keys.version == 0


def test_there_must_be_a_secret():
    with pytest.raises(ValueError, match="at least one secret"):
        SharedSecrets([])


@pytest.mark.parametrize("secret", [b"", b"secret", b"x" * (SHORTEST_SECRET - 1)])
def test_a_short_secret_is_refused_by_its_place_and_not_shown(secret):
    with pytest.raises(
        ValueError, match=f"secret 2 has {len(secret)} bytes and needs at least 32: .*openssl"
    ) as refused:
        SharedSecrets([b"y" * SHORTEST_SECRET, secret])
    assert "xxx" not in str(refused.value)


def test_a_secret_of_32_bytes_is_long_enough():
    SharedSecrets([b"x" * SHORTEST_SECRET])


def test_what_everybody_knows_is_no_secret():
    jwk = dumps(Issuer().jwk("EdDSA"))
    for known in (PEM, jwk, b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"):
        with pytest.raises(ValueError, match="secret 1 is a public key, a certificate or a JWK") as refused:
            SharedSecrets([known])
        assert known.decode() not in str(refused.value)


def test_secrets_do_not_show_in_reprs():
    issuer = Issuer()
    keys = SharedSecrets([issuer.secret])
    shown = f"{keys!r} {keys.find(None, 'HS256')!r} {Verifier(keys)!r}"
    assert issuer.secret.decode() not in shown
