"""Who is let in, and who is not."""

import secrets
import time
from dataclasses import replace
from uuid import uuid4

import pytest

from support.hostile_claims import MISSING, honest_claims
from support.hostile_tokens import LONGEST, hostile_tokens
from support.issuers import KEY_SET, Issuer, dumps
from support.verifying import AUDIENCE, ISSUER, NOW, RULES, Keys, Scene, hostile_rows, reason_of
from todo_adapters.auth.claims import ClaimRules
from todo_adapters.auth.keys import SharedSecrets
from todo_adapters.auth.refusal import NOT_A_JWT, Reason
from todo_adapters.auth.verifier import Verifier
from todo_domain.errors import Unauthenticated, Unavailable


@pytest.fixture(params=["secret", "jwks"])
def scene(request):
    return Scene(request.param)


@pytest.fixture
def hostile(scene):
    return hostile_rows(scene.mode)


async def test_a_caller_has_the_expiry_of_the_token_remembered_or_not(scene):
    token = scene.sign(exp=NOW + 600)
    assert [(await scene.verifier.verify(token)).expires_at for _ in range(2)] == [NOW + 600] * 2


async def test_every_hostile_token_is_refused_for_its_reason(scene, hostile):
    found = {row.name: (await reason_of(scene.verifier, row.token), row.reason) for row in hostile}
    assert {name: reasons for name, reasons in found.items() if reasons[0] != reasons[1]} == {}
    assert len(found) == len(hostile) >= 150


async def test_hostile_tokens_are_refused_without_settings_too():
    scene = Scene("secret")
    rows = list(hostile_tokens("secret", scene.issuer, now=NOW))
    verifier = Verifier(SharedSecrets([scene.issuer.secret]), clock=scene.now)
    assert [row.name for row in rows if await reason_of(verifier, row.token) != row.reason] == []


def test_the_hostile_tokens_are_different_in_each_run_and_have_every_reason(scene, hostile):
    again = hostile_tokens(scene.mode, Issuer(), now=NOW, issuer=ISSUER, audience=AUDIENCE)
    same = {row.token for row in hostile} & {row.token for row in again}
    assert len(same) < 20, "only those without a signature may be the same"
    unreachable = {Reason.CLIENT} | ({Reason.KEY_UNKNOWN} if scene.mode == "secret" else set())
    assert {row.reason for row in hostile} == set(Reason) - unreachable
    assert sum(row.sendable for row in hostile) >= 150


async def test_nothing_hostile_is_remembered(scene, hostile):
    for row in hostile:
        await reason_of(scene.verifier, row.token)
    assert len(scene.verifier._remembered) == 0


async def test_a_token_with_any_character_changed_is_refused(scene):
    token = scene.sign()
    for place, character in enumerate(token):
        for other in {"A", "z", "0", "-", "=", ".", "\0", "\xe9"} - {character}:
            assert await reason_of(scene.verifier, token[:place] + other + token[place + 1 :]), place
        assert await reason_of(scene.verifier, token[:place] + token[place + 1 :]), place
        assert await reason_of(scene.verifier, token[:place]), place
    assert await reason_of(scene.verifier, token) is None


async def test_noise_is_refused_and_raises_nothing_else(scene):
    parts = scene.sign().split(".")
    for _ in range(500):
        noise = secrets.token_bytes(secrets.randbelow(60)).decode("latin-1")
        assert await reason_of(scene.verifier, noise)
        parts[secrets.randbelow(3)] = secrets.token_urlsafe(secrets.randbelow(60))
        assert await reason_of(scene.verifier, ".".join(parts))


@pytest.mark.parametrize("algorithm", ["HS256", *KEY_SET])
@pytest.mark.parametrize(
    "typ", [None, "JWT", "jwt", "Jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+JWT"]
)
async def test_good_tokens_of_every_algorithm_and_type_are_taken(algorithm, typ):
    scene = Scene("secret" if algorithm == "HS256" else "jwks")
    claims = honest_claims(NOW, iss=ISSUER, aud=AUDIENCE)
    header = scene.issuer.header(algorithm, **({"typ": typ} if typ else {}))
    assert (await scene.verifier.verify(scene.issuer.token(algorithm, claims, header))).user == claims["sub"]


async def test_ed25519_is_a_name_for_eddsa_with_a_kid_and_without():
    scene = Scene("jwks")
    claims = honest_claims(NOW, iss=ISSUER, aud=AUDIENCE)
    for header in ({"alg": "Ed25519"}, {"alg": "Ed25519", "kid": scene.issuer.kids["EdDSA"]}):
        assert (await scene.verifier.verify(scene.issuer.token("EdDSA", claims, header))).user == claims["sub"]


GOOD = {
    "a list of audiences": {"aud": ["https://else.example", AUDIENCE]},
    "one audience in a list": {"aud": [AUDIENCE]},
    "no iat": {"iat": MISSING},
    "nbf": {"nbf": int(NOW)},
    "fractions of seconds": {"exp": NOW + 10.5, "iat": NOW - 10.5, "nbf": NOW - 10.5},
    "a number in scientific notation": {"exp": 1.7900001e9},
    "a subject of one character": {"sub": "x"},
    "a subject of 255 characters": {"sub": "\U0001f600" * 255},
    "a subject in another script": {"sub": "名前 é"},
    "the user row, as Better Auth sends it": {"name": "Ann", "email": "ann@else.example", "emailVerified": True},
    "2^53": {"a": [2**53, -(2**53), 0.1, 1e15]},
    "numbers that no reader holds exactly": {"a": [2**53 + 1, -(2**53) - 1, 1e300, 10**400], "b": {"c": 2**64}},
    "nesting": {"a": {"b": [[[[{"c": [{}]}]]]]}},
    "an unpaired surrogate elsewhere": {"name": "\ud800"},
    "NUL elsewhere": {"name": "a\0b"},
    "aud beside Infinity in a string": {"name": "Infinity NaN [[[["},
}


@pytest.mark.parametrize("name", GOOD)
async def test_good_claims_are_taken(scene, name):
    assert await reason_of(scene.verifier, scene.sign(**GOOD[name])) is None


async def test_a_payload_may_be_spelt_with_white_space_and_escapes(scene):
    claims = honest_claims(NOW, iss=ISSUER, aud=AUDIENCE, sub="ann")
    spelt = dumps(claims).replace(b'"sub":"ann"', b'\r\n\t"s\\u0075b" : "\\u0061nn" ')
    assert (await scene.verifier.verify(scene.issuer.token(scene.algorithm, spelt))).user == "ann"


async def test_claims_of_others_may_be_numbers_of_any_length(scene):
    claims = dumps(honest_claims(NOW, iss=ISSUER, aud=AUDIENCE))
    for number in ("1e400", "-1e400", "9" * 5_000, f"-{'9' * 5_000}", f"0.{'3' * 5_000}"):
        payload = claims[:-1] + f',"a":{number}}}'.encode()
        assert await reason_of(scene.verifier, scene.issuer.token(scene.algorithm, payload)) is None, number


NOT_UNDERSTOOD = {
    "Clerk's cat": {"cat": "cl_B7d4PD111AAA"},
    "Entra's x5t and nonce": {"x5t": "AA", "nonce": "AA"},
    "a certificate chain": {"x5c": ["MIIB"], "x5t#S256": "AA"},
    "SuperTokens' version": {"version": "5"},
    "a content type": {"cty": "JWT"},
    "what encryption knows": {"epk": {}, "p2c": 2**31 - 1, "p2s": "AA"},
    "replicated claims": {"iss": "https://else.example", "sub": "admin", "exp": 0},
    "a URL": {"url": "https://else.example"},
    "an algorithm in another case": {"Alg": "none", "KID": "a"},
    "an empty name": {"": 1},
    "a prototype": {"__proto__": {"alg": "none", "crit": ["b64"]}},
    "a number beyond 2^53": {"a": 2**64},
}


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
async def test_header_members_that_are_not_understood_are_ignored(scene, name):
    claims = honest_claims(NOW, iss=ISSUER, aud=AUDIENCE)
    header = scene.issuer.header(scene.algorithm, **NOT_UNDERSTOOD[name])
    assert (await scene.verifier.verify(scene.issuer.token(scene.algorithm, claims, header))).user == claims["sub"]


async def test_a_token_of_a_member_of_157_groups_is_taken(scene):
    token = scene.sign(groups=[str(uuid4()) for _ in range(157)])
    assert len(token) > 8_192
    assert await reason_of(scene.verifier, token) is None


async def test_the_longest_token_fills_a_header_section(scene):
    lengths = {}
    short = (LONGEST - len(scene.sign(sub="me", a=""))) * 3 // 4 - 20
    for size in range(short, short + 40):
        token = scene.sign(sub="me", a="x" * size)
        lengths[len(token)] = await reason_of(scene.verifier, token)
    assert {length for length, reason in lengths.items() if reason is None} == {n for n in lengths if n <= LONGEST}
    assert any(n <= LONGEST for n in lengths)
    assert {reason for length, reason in lengths.items() if length > LONGEST} == {"too_long"}


BOUNDS = [
    ("exp", -29.75, None),
    ("exp", -29.999, None),
    ("exp", -30, "expired"),
    ("exp", 86_700, None),
    ("exp", 90_030, None),
    ("exp", 90_030.5, "lifetime"),
    ("nbf", 30, None),
    ("nbf", 30.5, "not_yet_valid"),
    ("iat", 30, None),
    ("iat", 30.5, "issued_in_future"),
]


@pytest.mark.parametrize(("claim", "ahead", "reason"), BOUNDS)
async def test_clocks_may_differ_by_30_seconds(scene, claim, ahead, reason):
    assert await reason_of(scene.verifier, scene.sign(**{"iat": MISSING, claim: NOW + ahead})) == reason


async def test_a_token_may_live_as_long_as_the_setting_says(scene):
    verifier = Verifier(scene.keys, replace(RULES, max_lifetime=600), clock=scene.now)
    assert await reason_of(verifier, scene.sign(iat=NOW - 100, exp=NOW + 500)) is None
    assert await reason_of(verifier, scene.sign(iat=NOW - 100, exp=NOW + 501)) == "lifetime"
    assert await reason_of(verifier, scene.sign(iat=MISSING, exp=NOW + 630)) is None
    assert await reason_of(verifier, scene.sign(iat=MISSING, exp=NOW + 631)) == "lifetime"


async def test_a_refusal_advises_to_sign_in_only_where_that_can_help(scene, hostile):
    sentences = {}
    for row in hostile:
        with pytest.raises(Unauthenticated) as refused:
            await scene.verifier.verify(row.token)
        sentences.setdefault(str(refused.value), set()).add(row.reason)
    expired = sentences.pop("the token has expired: sign in again")
    assert expired == {"expired"}
    assert sentences.pop("the token is not valid: sign in again") <= {"malformed", "key_unknown", "signature"}
    assert sentences.pop(NOT_A_JWT) == {"malformed"}
    assert len(sentences) >= 10
    for sentence, reasons in sentences.items():
        assert sentence.startswith("this service is not set up for this token: ")
        assert len(reasons) == 1
        assert "sign in" not in sentence


@pytest.mark.parametrize("text", ["undefined", "null", "[object Object]", "[object Promise]", "opaque", ""])
async def test_a_text_that_is_no_jwt_is_called_so_and_not_repeated(scene, text):
    with pytest.raises(Unauthenticated) as refused:
        await scene.verifier.verify(text)
    assert (refused.value.reason, str(refused.value)) == ("malformed", NOT_A_JWT)


async def test_issuer_and_audience_are_not_asked_for_unless_configured():
    scene = Scene("secret")
    verifier = Verifier(SharedSecrets([scene.issuer.secret]), clock=scene.now)
    for claims in ({}, {"iss": 1, "aud": None}, {"iss": "anyone", "aud": ["anything"]}):
        assert await reason_of(verifier, scene.issuer.token("HS256", honest_claims(NOW, **claims))) is None


@pytest.mark.parametrize(
    "rules",
    [
        None,
        ClaimRules(issuers=frozenset({ISSUER})),
        ClaimRules(audiences=frozenset({AUDIENCE})),
        ClaimRules(issuers=frozenset({ISSUER}), clients=frozenset({"web"})),
        ClaimRules(without_audience=True, any_client=True),
    ],
)
def test_a_key_set_needs_issuer_and_audience(rules):
    with pytest.raises(ValueError, match="issuer and audience must be given"):
        Verifier(Keys("jwks", Issuer()), rules)


@pytest.mark.parametrize("lifetime", [0, -1, float("nan")])
def test_a_lifetime_is_more_than_nothing(lifetime):
    with pytest.raises(ValueError, match="more than 0"):
        ClaimRules(max_lifetime=lifetime)


async def test_keys_are_asked_for_once_more_when_none_at_hand_made_the_signature(scene):
    stranger = Issuer()
    token = stranger.token(scene.algorithm, honest_claims(NOW, iss=ISSUER, aud=AUDIENCE))
    await reason_of(scene.verifier, token)
    assert scene.keys.searched == 1
    await reason_of(scene.verifier, scene.sign())
    assert scene.keys.searched == 1


async def test_the_check_is_the_key_sources(scene):
    with pytest.raises(Unavailable, match="no keys"):
        await scene.verifier.check()


async def test_refusals_quote_nothing_in_their_chain(scene, hostile):
    for row in hostile:
        with pytest.raises(Unauthenticated) as refused:
            await scene.verifier.verify(row.token)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__ or refused.value.__context__ is None, row.name


def test_the_clock_is_the_systems_by_default():
    verifier = Verifier(SharedSecrets([Issuer().secret]))
    assert abs(verifier._clock() - time.time()) < 60
