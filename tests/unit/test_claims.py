"""What the claims of a token must be: issuers, audiences, clients, and the claim that names the user."""

import json
from dataclasses import replace

import pytest

from support.hostile_claims import MISSING, hostile_claims
from support.verifying import AUDIENCE, ISSUER, NOW, RULES, Scene, reason_of
from todo_adapters.auth.claims import CLIENT_CLAIMS, ClaimRules
from todo_adapters.auth.verifier import Verifier

NO_AUDIENCE = replace(RULES, audiences=frozenset(), without_audience=True, clients=frozenset({"web", "ios"}))
ANY_CLIENT = replace(NO_AUDIENCE, clients=frozenset(), any_client=True)


@pytest.fixture(params=["secret", "jwks"])
def scene(request):
    return Scene(request.param)


def with_rules(scene, rules):
    return Verifier(scene.keys, rules, clock=scene.now)


SEVERAL = replace(RULES, issuers=frozenset({ISSUER, "https://two.example/"}), audiences=frozenset({"web", "ios"}))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "web"}, None),
        ({"aud": "ios", "iss": "https://two.example/"}, None),
        ({"aud": ["else", "ios"]}, None),
        ({"aud": ["web", "ios"]}, None),
        ({"aud": "web ios"}, "audience"),
        ({"aud": "android"}, "audience"),
        ({"aud": ["android", 1, "web"]}, "audience"),
        ({"aud": "web", "iss": "https://two.example"}, "issuer"),
        ({"aud": "web", "iss": f"{ISSUER} https://two.example/"}, "issuer"),
        ({"aud": "web", "iss": [ISSUER]}, "issuer"),
    ],
)
async def test_one_of_several_issuers_and_audiences_is_enough(scene, claims, reason):
    assert await reason_of(with_rules(scene, SEVERAL), scene.sign(**claims)) == reason


@pytest.mark.parametrize("rules", [NO_AUDIENCE, ANY_CLIENT])
@pytest.mark.parametrize("aud", [AUDIENCE, "web", "none", "", None, ["web"], [""], [None], {}, 0, False])
async def test_a_token_for_somebody_is_refused_where_only_tokens_without_an_audience_are_taken(scene, rules, aud):
    assert await reason_of(with_rules(scene, rules), scene.sign(aud=aud, azp="web")) == "audience"


@pytest.mark.parametrize("aud", [MISSING, []])
async def test_no_audience_and_an_empty_list_of_them_are_the_same(scene, aud):
    assert await reason_of(with_rules(scene, NO_AUDIENCE), scene.sign(aud=aud, azp="web")) is None
    assert await reason_of(with_rules(scene, ANY_CLIENT), scene.sign(aud=aud)) is None
    assert await reason_of(with_rules(scene, RULES), scene.sign(aud=aud, azp="web")) == "audience"


NAMED = [
    ({"azp": "web"}, None),
    ({"client_id": "ios"}, None),
    ({"cid": "web"}, None),
    ({"azp": "web", "client_id": "ios", "cid": "web"}, None),
    ({}, "client"),
    ({"azp": "other"}, "client"),
    ({"azp": "web", "client_id": "other"}, "client"),
    ({"azp": "web", "cid": None}, "client"),
    ({"client_id": ["web"]}, "client"),
    ({"client_id": "web ios"}, "client"),
    ({"AZP": "web"}, "client"),
    ({"azp": ""}, "client"),
]


@pytest.mark.parametrize(("claims", "reason"), NAMED)
async def test_each_client_that_a_token_names_must_be_configured_and_it_must_name_one(scene, claims, reason):
    assert await reason_of(with_rules(scene, NO_AUDIENCE), scene.sign(aud=MISSING, **claims)) == reason
    beside = replace(RULES, clients=NO_AUDIENCE.clients)
    assert await reason_of(with_rules(scene, beside), scene.sign(**claims)) == reason
    assert await reason_of(with_rules(scene, beside), scene.sign(aud="other", **claims)) == "audience"


async def test_any_client_may_be_named_or_none_where_the_key_set_is_one_applications(scene):
    verifier = with_rules(scene, ANY_CLIENT)
    for claims in ({}, {"azp": "x"}, {"client_id": 1}):
        assert await reason_of(verifier, scene.sign(aud=MISSING, **claims)) is None


@pytest.mark.parametrize("name", CLIENT_CLAIMS)
async def test_clients_are_not_asked_for_unless_configured(scene, name):
    assert await reason_of(scene.verifier, scene.sign(**{name: 1})) is None


async def test_the_user_may_be_another_claim(scene):
    verifier = with_rules(scene, replace(RULES, user_claim="https://app.example/uid"))
    assert (await verifier.verify(scene.sign(sub="ann", **{"https://app.example/uid": "00u1"}))).user == "00u1"
    for wrong in (MISSING, None, 1, "", "a\nb", "x" * 256):
        token = scene.sign(sub="ann", **{"https://app.example/uid": wrong})
        assert await reason_of(verifier, token) == "subject"


@pytest.mark.parametrize("clients", [frozenset(), frozenset({"web"})])
def test_every_hostile_claim_is_refused_for_its_reason_whatever_else_is_configured(clients):
    rules = replace(SEVERAL, audiences=frozenset({AUDIENCE, "web"}), clients=clients)
    rows = [row for row in hostile_claims(NOW, 90_000, ISSUER, AUDIENCE) if row[2] in {"issuer", "audience"}]
    assert len(rows) > 30
    for name, payload, reason in rows:
        problems = dict(rules.checks(json.loads(payload), NOW, rules.issuers))
        assert problems[reason], name


@pytest.mark.parametrize(
    "rules",
    [
        {"audiences": frozenset({"a"}), "without_audience": True, "any_client": True},
        {"without_audience": True},
        {"clients": frozenset({"a"}), "any_client": True},
        {"issuers": frozenset({""})},
        {"audiences": frozenset({"a", ""})},
        {"clients": frozenset({""})},
        {"user_claim": ""},
    ],
)
def test_rules_that_contradict_each_other_are_refused(rules):
    with pytest.raises(ValueError, match=r"audience|client|empty"):
        ClaimRules(**rules)


async def test_secrets_and_key_sets_ask_for_the_same_claims():
    """A mode says who may sign, not what a token must say."""
    reasons = []
    for mode in ("secret", "jwks"):
        scene = Scene(mode)
        rows = [scene.sign(aud=MISSING, **claims) for claims, _ in NAMED]
        reasons.append([await reason_of(with_rules(scene, NO_AUDIENCE), token) for token in rows])
    assert reasons[0] == reasons[1] == [reason for _, reason in NAMED]
