"""What the holder of a token is told about it."""

from dataclasses import replace

import pytest

from support.verifying import AUDIENCE, ISSUER, NOW, RULES, Keys, Scene, hostile_rows
from todo_adapters.auth.refusal import PROMISES, Reason
from todo_adapters.auth.verifier import Verifier
from todo_domain.errors import Unavailable


@pytest.fixture(params=["secret", "jwks"])
def scene(request):
    return Scene(request.param)


@pytest.fixture
def hostile(scene):
    return hostile_rows(scene.mode)


async def test_the_first_check_that_fails_is_the_verdict(scene, hostile):
    for row in hostile:
        checks = await scene.verifier.explain(row.token)
        failed = next(place for place, check in enumerate(checks) if not check.passed)
        assert checks[failed].reason == row.reason, row.name
        assert [check.reason for check in checks[:failed]] == list(Reason)[:failed]
        assert all(check.sentence == PROMISES[check.reason] for check in checks if check.passed)
        order = [list(Reason).index(check.reason) for check in checks]
        assert order == sorted(set(order))


async def test_an_explanation_goes_on_after_a_failed_check(scene):
    wrong = scene.sign(iss=ISSUER + "/", aud="other", exp=NOW - 100, sub="")
    message, _, signature = wrong.rpartition(".")
    checks = await scene.verifier.explain(f"{message}.{signature[::-1]}")
    failed = [check.reason for check in checks if not check.passed]
    assert [reason for reason in failed if reason != "malformed"] == (
        ["signature", "expired", "issuer", "audience", "subject"] if "malformed" not in failed else []
    )


async def test_an_explanation_shows_what_was_found_beside_what_is_configured(scene):
    verifier = Verifier(scene.keys, replace(RULES, clients=frozenset({"web", "ios"})), clock=scene.now)
    checks = {each.reason: each for each in await verifier.explain(scene.sign(iss=ISSUER + "/", aud=["x"], azp="tv"))}
    shown = {reason: (check.found, check.configured) for reason, check in checks.items() if check.configured}
    assert shown == {
        "algorithm": (f'"{scene.algorithm}"', ", ".join(sorted(scene.keys.algorithms))),
        "issuer": (f'"{ISSUER}/"', f'"{ISSUER}"'),
        "audience": ('["x"]', f'"{AUDIENCE}"'),
        "client": ('{"azp": "tv"}', '"ios" "web"'),
    }
    assert [reason for reason, check in checks.items() if not check.passed] == ["issuer", "audience", "client"]


async def test_an_explanation_shows_no_control_character_and_no_endless_value(scene):
    for value in ("\x1b[31m\u202e", "x" * 5_000):
        for check in await scene.verifier.explain(scene.sign(iss=value, aud=value, azp=value)):
            assert check.found.isascii()
            assert check.found.isprintable()
            assert len(check.found) <= 200


async def test_an_explanation_of_a_good_token_has_every_check_and_remembers_nothing(scene):
    checks = await scene.verifier.explain(scene.sign())
    assert [check.reason for check in checks] == list(Reason) == list(PROMISES)
    assert all(check.passed for check in checks)
    assert len(scene.verifier._remembered) == 0


async def test_an_explanation_shows_neither_token_nor_keys(scene, hostile):
    public = [str(key.get("x") or key["n"]) for key in scene.issuer.jwks()["keys"]]
    private = [scene.issuer.secret.decode(), *public, "ann", "admin"]
    for row in hostile:
        checks = await scene.verifier.explain(row.token)
        said = " ".join(f"{check.sentence} {check.found}" for check in checks)
        parts = [part for part in row.token.split(".") if len(part) > 8]
        assert not any(part in said for part in parts + private), row.name
        assert len(said) < 3000


async def test_an_explanation_gives_times(scene):
    async def failed(**claims):
        return [
            (check.reason, check.sentence)
            for check in await scene.verifier.explain(scene.sign(**claims))
            if not check.passed
        ]

    assert await failed(exp=NOW - 100) == [(Reason.EXPIRED, "exp was 100 s ago")]
    assert await failed(iat=NOW + 3600) == [(Reason.ISSUED_IN_FUTURE, "iat is 3600 s ahead: check the clocks")]


async def test_an_explanation_without_keys_still_checks_the_claims():
    class Away(Keys):
        def find(self, *_):
            return ()

        async def search(self, *_, **__):
            raise Unavailable("the key set is out of reach")

    scene = Scene("jwks")
    checks = await Verifier(Away("jwks", scene.issuer), RULES, clock=scene.now).explain(scene.sign(aud="other"))
    assert [(check.reason, check.sentence) for check in checks if not check.passed] == [
        ("key_unknown", "the key set is out of reach"),
        ("audience", "aud is missing or contains no configured audience"),
    ]
