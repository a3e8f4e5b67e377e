"""Who is remembered, and for how long."""

from collections import Counter

import pytest

from support.hostile_claims import honest_claims
from support.issuers import Issuer
from support.verifying import NOW, Scene, reason_of
from todo_adapters.auth.verifier import MOST_REMEMBERED, Verifier


@pytest.fixture(params=["secret", "jwks"])
def scene(request):
    return Scene(request.param)


async def test_a_verified_token_is_remembered_for_a_minute(scene):
    token = scene.sign(sub="ann")
    for later in (0, 1, 59.9):
        scene.now.now = NOW + later
        assert (await scene.verifier.verify(token)).user == "ann"
    assert scene.keys.found == 1
    scene.now.now = NOW + 60
    assert (await scene.verifier.verify(token)).user == "ann"
    assert scene.keys.found == 2


async def test_a_remembered_token_ends_when_it_expires(scene):
    token = scene.sign(exp=NOW + 10)
    assert await reason_of(scene.verifier, token) is None
    scene.now.now = NOW + 39.9
    assert await reason_of(scene.verifier, token) is None
    scene.now.now = NOW + 40
    assert await reason_of(scene.verifier, token) == "expired"


async def test_a_token_checked_again_after_a_minute_may_be_expired(scene):
    token = scene.sign(exp=NOW + 40)
    assert await reason_of(scene.verifier, token) is None
    scene.now.now = NOW + 1_000_000
    assert await reason_of(scene.verifier, token) == "expired"


async def test_a_change_of_keys_is_a_change_for_remembered_tokens(scene):
    token, other = scene.sign(), Issuer()
    assert await reason_of(scene.verifier, token) is None
    scene.keys.trust(other)
    assert await reason_of(scene.verifier, token) == ("signature" if scene.mode == "secret" else "key_unknown")
    scene.keys.trust(other, scene.issuer) if scene.mode == "secret" else scene.keys.trust(scene.issuer)
    assert await reason_of(scene.verifier, token) is None


async def test_a_token_that_old_keys_verified_is_forgotten(scene):
    tokens = [scene.sign() for _ in range(10)]
    assert Counter([await reason_of(scene.verifier, token) for token in tokens]) == {None: 10}
    scene.keys.trust(scene.issuer)
    asked = scene.keys.found
    for _ in range(3):
        assert await reason_of(scene.verifier, tokens[0]) is None
    assert len(scene.verifier._remembered) == 1
    assert scene.keys.found == asked + 1


async def test_memory_is_bounded_and_the_oldest_goes_first():
    scene = Scene("secret")
    verifier = Verifier(scene.keys, clock=scene.now)
    tokens = [scene.issuer.token("HS256", honest_claims(NOW, n=n)) for n in range(MOST_REMEMBERED + 10)]
    for token in tokens:
        await verifier.verify(token)
        assert len(verifier._remembered) <= MOST_REMEMBERED
    asked = verifier._keys.found
    await verifier.verify(tokens[10])
    assert verifier._keys.found == asked
    await verifier.verify(tokens[9])
    assert verifier._keys.found == asked + 1


async def test_no_token_is_kept_in_memory(scene):
    token = scene.sign()
    await scene.verifier.verify(token)
    [digest] = scene.verifier._remembered
    assert len(digest) == 32
    assert digest not in token.encode()
