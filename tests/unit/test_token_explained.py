"""What the holder of a token is told about it."""

import pytest

from support.hostile_tokens import hostile_tokens
from support.verifying import AUDIENCE, ISSUER, NOW, Scene
from todo_adapters.auth.refusal import PROMISES, Reason


@pytest.fixture(params=["secret", "jwks"])
def scene(request):
    return Scene(request.param)


@pytest.fixture
def hostile(scene):
    return list(hostile_tokens(scene.mode, scene.issuer, now=NOW, issuer=ISSUER, audience=AUDIENCE))


async def test_an_explanation_agrees_with_the_verdict(scene, hostile):
    for row in hostile:
        *passed, failed = await scene.verifier.explain(row.token)
        assert (failed.reason, failed.passed) == (row.reason, False), row.name
        assert [check.reason for check in passed] == list(Reason)[: list(Reason).index(failed.reason)]
        assert all(check.passed and check.sentence == PROMISES[check.reason] for check in passed)


async def test_an_explanation_of_a_good_token_has_every_check_and_remembers_nothing(scene):
    checks = await scene.verifier.explain(scene.sign())
    assert [check.reason for check in checks] == list(Reason) == list(PROMISES)
    assert all(check.passed for check in checks)
    assert len(scene.verifier._remembered) == 0


async def test_an_explanation_shows_neither_token_nor_keys(scene, hostile):
    public = [str(key.get("x") or key["n"]) for key in scene.issuer.jwks()["keys"]]
    private = [scene.issuer.secret.decode(), *public, "ann", "admin"]
    for row in hostile:
        said = " ".join(check.sentence for check in await scene.verifier.explain(row.token))
        parts = [part for part in row.token.split(".") if len(part) > 8]
        assert not any(part in said for part in parts + private), row.name
        assert len(said) < 2000


async def test_an_explanation_gives_times(scene):
    last = (await scene.verifier.explain(scene.sign(exp=NOW - 100)))[-1]
    assert last == (Reason.EXPIRED, False, "exp was 100 s ago")
    last = (await scene.verifier.explain(scene.sign(iat=NOW + 3600)))[-1]
    assert last.sentence == "iat is 3600 s ahead: are the clocks right?"
