"""The issuer's key set over HTTP: fetched seldom, never waited for in vain, and survived when it is away."""

import asyncio
import logging

import pytest

from support.hostile_claims import honest_claims
from support.issuers import KEY_SET, Issuer
from support.verifying import APART, AUDIENCE, FETCHER, ISSUER
from support.verifying import FetchScene as Scene
from todo_adapters.auth.jwks import KEPT, JwksKeys
from todo_adapters.auth.loading import FRESH, FRESH_AT_LEAST, FRESH_AT_MOST, KeyUrl
from todo_domain.errors import Unavailable

LONG = 30.0


@pytest.mark.parametrize("algorithm", KEY_SET)
async def test_tokens_of_each_algorithm_are_taken_after_one_fetch(scene, algorithm):
    for _ in range(3):
        assert await scene.verdict(scene.token(algorithm)) == "taken"
    assert scene.server.hits == 1
    assert scene.keys.failure is None


async def test_fifty_first_callers_share_one_fetch(scene):
    scene.server.delay = 0.02
    verdicts = await asyncio.gather(*(scene.verdict(scene.token()) for _ in range(50)))
    assert verdicts == ["taken"] * 50
    assert scene.server.hits == 1


async def test_a_caller_who_leaves_does_not_take_the_fetch_along(scene):
    scene.server.delay = 0.05
    leaving = asyncio.create_task(scene.verdict(scene.token()))
    staying = asyncio.create_task(scene.verdict(scene.token()))
    await asyncio.sleep(0.01)
    leaving.cancel()
    assert await staying == "taken"
    assert scene.server.hits == 1
    assert leaving.cancelled()


async def test_a_new_key_is_taken_within_five_seconds(scene):
    assert await scene.verdict(scene.token()) == "taken"
    new = Issuer()
    scene.server.document = {"keys": [*scene.issuer.jwks()["keys"], new.jwk("EdDSA")]}
    scene.now.now += APART - 0.1
    assert await scene.verdict(scene.token(issuer=new)) == "key_unknown"
    assert scene.server.hits == 1
    scene.now.now += 0.1
    assert await scene.verdict(scene.token(issuer=new)) == "taken"
    assert await scene.verdict(scene.token()) == "taken"
    assert scene.server.hits == 2


async def test_a_flood_of_unknown_keys_is_one_fetch_in_five_seconds(scene):
    assert await scene.verdict(scene.token()) == "taken"
    for _ in range(60):
        scene.now.now += 1
        verdicts = await asyncio.gather(*(scene.verdict(scene.token(issuer=Issuer())) for _ in range(5)))
        assert verdicts == ["key_unknown"] * 5
    assert scene.server.hits == 1 + 60 // APART
    assert scene.changes == [len(KEY_SET)]


async def test_a_flood_of_tokens_without_a_name_is_bounded_too(scene):
    scene.server.document = {"keys": [*scene.issuer.jwks()["keys"], Issuer().jwk("EdDSA")]}
    nameless = scene.issuer.token("EdDSA", honest_claims(scene.now(), iss=ISSUER, aud=AUDIENCE), {"alg": "EdDSA"})
    assert [await scene.verdict(nameless) for _ in range(20)] == ["key_unknown"] * 20
    assert scene.server.hits == 1


async def test_a_removed_key_ends_its_remembered_tokens_with_the_next_fetch(scene):
    token, new = scene.token(), Issuer()
    assert await scene.verdict(token) == "taken"
    scene.server.document = new.jwks()
    scene.now.now += APART
    assert await scene.verdict(token) == "taken"
    assert await scene.verdict(scene.token(issuer=new)) == "taken"
    assert await scene.verdict(token) == "key_unknown"


async def test_keys_are_fetched_again_in_the_background(scene):
    assert await scene.verdict(scene.token()) == "taken"
    scene.server.delay = LONG
    scene.server.arrived.clear()
    scene.now.now += FRESH + 1
    async with asyncio.timeout(2.0):
        assert [await scene.verdict(scene.token()) for _ in range(5)] == ["taken"] * 5
    async with asyncio.timeout(LONG):
        await scene.server.arrived.wait()
    assert scene.server.hits == 2


async def test_a_key_removed_long_ago_is_gone_after_the_background_fetch(scene):
    assert await scene.verdict(scene.token()) == "taken"
    scene.server.document = Issuer().jwks()
    scene.now.now += FRESH + 1
    assert await scene.verdict(scene.token()) == "taken"
    await scene.settle()
    assert await scene.verdict(scene.token()) == "key_unknown"


async def test_changes_are_told_once_and_only_when_there_are_some(scene):
    assert await scene.verdict(scene.token()) == "taken"
    documents = [{"keys": scene.issuer.jwks()["keys"][::-1]}, scene.issuer.jwks("EdDSA"), scene.issuer.jwks("EdDSA")]
    versions = [scene.keys.version]
    for document in documents:
        scene.server.document = document
        scene.now.now += FRESH + 1
        scene.keys.find("any", "EdDSA")
        await scene.settle()
        versions.append(scene.keys.version)
    assert scene.changes == [len(KEY_SET), 1]
    assert versions == [1, 1, 2, 2]


async def test_a_provider_that_is_away_at_the_start_is_tried_again_after_five_seconds(scene):
    await scene.server.stop()
    assert await scene.verdict(scene.token()) == "away"
    await scene.server.start()
    scene.now.now += APART - 0.1
    assert await scene.verdict(scene.token()) == "away"
    assert scene.server.hits == 0
    scene.now.now += 0.1
    assert await scene.verdict(scene.token()) == "taken"


async def test_tokens_that_need_no_key_are_refused_while_the_provider_is_away(scene):
    await scene.server.stop()
    assert await scene.verdict("nonsense") == "malformed"
    assert await scene.verdict(scene.token("HS256")) == "algorithm"
    assert scene.keys._loading is None


async def test_known_keys_outlive_their_provider_for_a_day(scene):
    assert await scene.verdict(scene.token()) == "taken"
    await scene.server.stop()
    for age in (FRESH + 1, 3600, KEPT - 1, KEPT):
        scene.now.now += age - (scene.now.now - scene.keys._loaded_at)
        assert await scene.verdict(scene.token()) == "taken", age
        await scene.settle()
        assert await scene.verdict(scene.token(issuer=Issuer())) == "away", age
    scene.now.now += 1
    assert await scene.verdict(scene.token()) == "away"
    await scene.server.start()
    scene.now.now += APART
    assert await scene.verdict(scene.token()) == "taken"


async def test_an_unknown_key_is_unknown_again_once_a_fetch_works(scene):
    assert await scene.verdict(scene.token()) == "taken"
    scene.server.status = 500
    scene.now.now += APART
    assert await scene.verdict(scene.token(issuer=Issuer())) == "away"
    assert await scene.verdict(scene.token()) == "taken"
    scene.server.status = 200
    scene.now.now += APART
    assert await scene.verdict(scene.token(issuer=Issuer())) == "key_unknown"


async def test_the_log_tells_of_changes_without_a_url(scene, caplog):
    scene.server.document = {"keys": [*scene.issuer.jwks()["keys"], {"kty": "oct"}]}
    with caplog.at_level(logging.INFO, "todo.auth"):
        await scene.verdict(scene.token())
    [message] = [record.getMessage() for record in caplog.records if record.name == "todo.auth"]
    assert message == "the key set changed: 6 keys now, 1 left out"


async def test_a_proxy_in_the_environment_is_the_settings_to_name(server, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    scene = Scene(server)
    assert await scene.verdict(scene.token()) == "taken"


@pytest.mark.parametrize(
    ("header", "fresh"),
    [
        ("max-age=600", 600),
        ("public, max-age=900, must-revalidate", 900),
        ("MAX-AGE=900", 900),
        ('max-age="900"', 900),
        ("max-age=60", 60),
        ("max-age=3600", 3600),
        ("max-age=5", FRESH_AT_LEAST),
        ("max-age=0", FRESH_AT_LEAST),
        ("max-age=86400", FRESH_AT_MOST),
        ("max-age=9999999999", FRESH_AT_MOST),
        ("s-maxage=900", FRESH),
        ("max-age=-1", FRESH),
        ("max-age=soon", FRESH),
        ("no-store", FRESH),
        ("", FRESH),
    ],
)
async def test_keys_are_fresh_for_as_long_as_the_provider_says_within_bounds(scene, header, fresh):
    scene.server.headers = {"Cache-Control": header}
    assert await scene.verdict(scene.token()) == "taken"
    scene.now.now += fresh
    assert await scene.verdict(scene.token()) == "taken"
    assert scene.server.hits == 1
    scene.now.now += 1
    assert await scene.verdict(scene.token()) == "taken"
    await scene.settle()
    assert scene.server.hits == 2


async def test_a_key_that_replaced_another_under_its_name_is_taken_after_one_early_fetch(scene):
    assert await scene.verdict(scene.token()) == "taken"
    old, new = scene.token(), Issuer()
    new.kids = scene.issuer.kids
    scene.server.document = new.jwks()
    scene.now.now += APART - 0.1
    assert await scene.verdict(scene.token(issuer=new)) == "signature"
    assert scene.server.hits == 1
    scene.now.now += 0.1
    assert await scene.verdict(scene.token(issuer=new)) == "taken"
    assert scene.server.hits == 2
    assert await scene.verdict(old) == "signature"


async def test_a_flood_of_bad_signatures_is_one_fetch_in_five_seconds(scene):
    assert await scene.verdict(scene.token()) == "taken"
    stranger = Issuer()
    stranger.kids = scene.issuer.kids
    for _ in range(20):
        scene.now.now += 1
        verdicts = await asyncio.gather(*(scene.verdict(scene.token(issuer=stranger)) for _ in range(5)))
        assert verdicts == ["signature"] * 5
    assert scene.server.hits == 1 + 20 // APART
    assert scene.changes == [len(KEY_SET)]


async def test_a_bad_signature_is_401_while_the_provider_is_away(scene):
    assert await scene.verdict(scene.token()) == "taken"
    await scene.server.stop()
    stranger = Issuer()
    stranger.kids = scene.issuer.kids
    scene.now.now += APART
    assert await scene.verdict(scene.token(issuer=stranger)) == "signature"
    assert await scene.verdict(scene.token()) == "taken"


async def test_keys_are_fetched_when_the_service_opens(scene):
    await scene.verifier.open()
    await scene.settle()
    assert scene.server.hits == 1
    assert await scene.verdict(scene.token()) == "taken"
    assert scene.server.hits == 1


async def test_a_fault_is_logged_when_the_service_opens_and_once_until_it_is_another(scene, caplog):
    scene.server.status = 404
    for _ in range(3):
        await scene.verifier.open()
        await scene.settle()
        scene.now.now += APART
    scene.server.status = 200
    scene.server.document = {"keys": []}
    await scene.verifier.open()
    await scene.settle()
    messages = [record.getMessage() for record in caplog.records if record.name == "todo.auth"]
    assert messages == ["the key set was not fetched: status 404", "the key set was not fetched: no key in it"]


async def test_readiness_is_having_keys(scene):
    await scene.server.stop()
    with pytest.raises(Unavailable):
        await scene.verifier.check()
    await scene.server.start()
    scene.now.now += APART
    await scene.verifier.check()
    await scene.server.stop()
    scene.now.now += KEPT
    await scene.verifier.check()
    await scene.settle()
    scene.now.now += 1
    with pytest.raises(Unavailable):
        await scene.verifier.check()


async def test_closing_ends_a_fetch_under_way(scene):
    scene.server.delay = LONG
    waiting = asyncio.create_task(scene.verdict(scene.token()))
    await scene.server.arrived.wait()
    await scene.verifier.aclose()
    assert await waiting == "away"
    assert scene.keys.failure == "unfinished"
    await scene.keys.aclose()


async def test_closing_before_any_fetch_does_nothing():
    await JwksKeys(KeyUrl("https://issuer.example/jwks", FETCHER)).aclose()
