"""Keys from a file, and secrets beside a key set."""

import os

import pytest

from support.hostile_claims import honest_claims
from support.hostile_tokens import hostile_tokens
from support.issuers import KEY_SET, Issuer, compact, dumps
from support.verifying import AUDIENCE, ISSUER, NOW, RULES, Keys, Time, reason_of
from todo_adapters.auth.jwks import READ, JwksKeys
from todo_adapters.auth.key_sources import KeySources
from todo_adapters.auth.keys import SharedSecrets
from todo_adapters.auth.loading import FILE_FRESH, LARGEST_FILE, CannotLoad, KeyFile
from todo_adapters.auth.verifier import Verifier
from todo_domain.errors import Unavailable


@pytest.fixture
def clock():
    return Time()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def token(issuer, algorithm="EdDSA"):
    return issuer.token(algorithm, honest_claims(NOW, iss=ISSUER, aud=AUDIENCE))


def verifier(keys):
    return Verifier(keys, RULES, clock=lambda: NOW)


def from_file(path, clock):
    return JwksKeys(KeyFile(path), times=READ, clock=clock)


def replaced(path, issuer):
    """Put another file in the place of one, as a ConfigMap or `mv` does."""
    new = path.with_suffix(".new")
    new.write_bytes(dumps(issuer.jwks()))
    new.replace(path)


@pytest.mark.parametrize("how", ["written", "replaced"])
async def test_a_key_file_is_read_again_when_it_changes(path, clock, how):
    one, two = Issuer(), Issuer()
    path.write_bytes(dumps(one.jwks()))
    keys = from_file(path, clock)
    takes = verifier(keys)
    assert [await reason_of(takes, token(one, algorithm)) for algorithm in KEY_SET] == [None] * len(KEY_SET)
    assert await reason_of(takes, token(two)) == "key_unknown"
    if how == "written":
        path.write_bytes(dumps(two.jwks()))
        os.utime(path, ns=(1, 1))
    else:
        replaced(path, two)
    clock.now += READ.apart
    assert await reason_of(takes, token(two)) is None
    assert await reason_of(takes, token(one)) == "key_unknown"


async def test_a_key_that_left_the_file_is_refused_a_second_later_without_a_token_that_asks(path, clock):
    one, two = Issuer(), Issuer()
    path.write_bytes(dumps(one.jwks()))
    keys = from_file(path, clock)
    takes = verifier(keys)
    assert await reason_of(takes, token(one)) is None
    replaced(path, two)
    clock.now += FILE_FRESH + 0.1
    keys.find("any", "EdDSA")
    await keys._loading
    assert await reason_of(takes, token(one)) == "key_unknown"


async def test_a_file_that_did_not_change_is_not_parsed_again(path, monkeypatch):
    path.write_bytes(dumps(Issuer().jwks()))
    file = KeyFile(path)
    first = file.read().keys
    monkeypatch.setattr("todo_adapters.auth.loading.parse_key_set", None)
    assert file.read().keys is first


async def test_known_keys_serve_while_the_file_is_broken_or_gone(path, clock):
    issuer = Issuer()
    path.write_bytes(dumps(issuer.jwks()))
    keys = from_file(path, clock)
    takes = verifier(keys)
    assert await reason_of(takes, token(issuer)) is None
    for failure, content in (("not UTF-8 JSON", b'{"keys":'), ("No such file or directory", None)):
        path.unlink() if content is None else path.write_bytes(content)
        clock.now += READ.apart
        with pytest.raises(Unavailable):
            await takes.verify(token(Issuer()))
        assert keys.failure == failure
        assert await reason_of(takes, token(issuer)) is None


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"keys":[]}', b" " * (LARGEST_FILE + 1)])
def test_a_file_without_keys_is_said_at_once(path, content):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((CannotLoad, ValueError)):
        KeyFile(path).read()


@pytest.fixture
def both():
    """An issuer's key set beside somebody else's secret, as at a provider that moves from one to the other."""
    secret, issuer = Issuer(), Issuer()
    return secret, issuer, verifier(KeySources([SharedSecrets([secret.secret]), Keys("jwks", issuer)]))


async def test_beside_a_key_set_hs256_belongs_to_the_secrets_and_all_else_to_the_key_set(both):
    secret, issuer, takes = both
    assert await reason_of(takes, token(secret, "HS256")) is None
    assert [await reason_of(takes, token(issuer, algorithm)) for algorithm in KEY_SET] == [None] * len(KEY_SET)
    assert await reason_of(takes, token(issuer, "HS256")) == "signature"
    assert await reason_of(takes, token(secret)) == "key_unknown"
    await takes.check()


async def test_beside_a_key_set_a_token_can_choose_neither_the_mode_nor_the_key(both):
    _, issuer, takes = both
    for row in hostile_tokens("jwks", issuer, now=NOW, issuer=ISSUER, audience=AUDIENCE):
        reason = "signature" if row.name.startswith(("confusion: HS256", "algorithm: 'HS256'")) else row.reason
        assert await reason_of(takes, row.token) == reason, row.name
    for algorithm in KEY_SET:
        public = dumps(issuer.jwk(algorithm))
        forged = compact({"alg": "HS256", "kid": issuer.kids[algorithm]}, honest_claims(NOW, iss=ISSUER), public)
        assert await reason_of(takes, forged) == "signature"


async def test_issuer_and_audience_hold_for_the_secrets_too(both):
    secret, _, takes = both
    for claims, reason in (({"aud": AUDIENCE}, "issuer"), ({"iss": ISSUER}, "audience")):
        assert await reason_of(takes, secret.token("HS256", honest_claims(NOW, **claims))) == reason


def test_secrets_beside_a_key_set_need_issuer_and_audience():
    with pytest.raises(ValueError, match="issuer and audience"):
        Verifier(KeySources([SharedSecrets([Issuer().secret]), Keys("jwks", Issuer())]))


async def test_opening_and_closing_reach_every_source():
    calls = []

    class Recorded(Keys):
        async def open(self):
            calls.append("open")

        async def aclose(self):
            calls.append("aclose")

    takes = verifier(KeySources([Recorded("jwks", Issuer()), Recorded("jwks", Issuer())]))
    await takes.open()
    await takes.aclose()
    assert calls == ["open", "open", "aclose", "aclose"]


async def test_a_bug_in_a_source_is_not_taken_for_an_outage():
    class Broken(Keys):
        async def search(self, *_, **__):
            raise RuntimeError("a bug")

        async def check(self, **_):
            raise RuntimeError("a bug")

    takes = verifier(KeySources([Keys("jwks", Issuer()), Broken("jwks", Issuer())]))
    for call in (takes.verify(token(Issuer())), takes.check()):
        with pytest.raises(RuntimeError, match="a bug"):
            await call
