"""The keys of an issuer by its name alone: its discovery document, to the letter, under the rules for URLs."""

import pytest

from servers.jwks import JwksServer
from support.hostile_claims import honest_claims
from support.issuers import Issuer, dumps
from support.verifying import APART, AUDIENCE, FETCHER, NOW, PATIENT, Time, reason_of
from todo_adapters.auth.claims import ClaimRules
from todo_adapters.auth.discovery import DISCOVERED_FOR, PATH, Discovery
from todo_adapters.auth.jwks import JwksKeys
from todo_adapters.auth.key_sources import KeySources
from todo_adapters.auth.verifier import Verifier
from todo_domain.errors import Unavailable


class Provider:
    """An issuer below a path of a server, and what it publishes."""

    def __init__(self, server, path, clock):
        self.server, self.path = server, path
        self.issuer = f"{server.origin}{path}"
        self.signer = Issuer()
        self.documents(f"{server.origin}/keys{path}")
        self.keys = JwksKeys(Discovery(self.issuer, FETCHER, clock=clock), times=PATIENT, clock=clock)

    @property
    def discovery(self):
        return f"{self.path.removesuffix('/')}{PATH}"

    def documents(self, jwks_uri, **changes):
        self.server.documents[self.discovery] = {"issuer": self.issuer, "jwks_uri": jwks_uri, **changes}
        self.server.documents[f"/keys{self.path}"] = self.signer.jwks()

    def token(self, signer=None, **claims):
        good = honest_claims(NOW, iss=self.issuer, aud=AUDIENCE)
        return (signer or self.signer).token("EdDSA", {**good, **claims})


@pytest.fixture
async def server():
    async with JwksServer() as server:
        server.document = b"no document here"
        yield server


@pytest.fixture
def clock():
    return Time()


def verifier(*providers):
    rules = ClaimRules(issuers=frozenset(each.issuer for each in providers), audiences=frozenset({AUDIENCE}))
    keys = [each.keys for each in providers]
    return Verifier(keys[0] if len(keys) == 1 else KeySources(keys), rules, clock=lambda: NOW)


@pytest.mark.parametrize("path", ["", "/", "/realms/todo", "/tenant/v2.0/"])
async def test_a_token_is_taken_with_nothing_configured_but_its_issuer(server, clock, path):
    provider = Provider(server, path, clock)
    assert await reason_of(verifier(provider), provider.token()) is None
    assert server.paths == [f"{path.removesuffix('/')}{PATH}", f"/keys{path}"]


@pytest.mark.parametrize(
    ("document", "failure"),
    [
        ({"issuer": "other"}, "its issuer is "),
        ({"issuer": "ISSUER/"}, "its issuer is "),
        ({"issuer": None}, "its issuer is 'None'"),
        ({"jwks_uri": None}, "it has no jwks_uri"),
        ({"jwks_uri": ["https://issuer.example/keys"]}, "it has no jwks_uri"),
        ({"jwks_uri": "http://issuer.example/keys"}, "must begin with https://"),
        ({"jwks_uri": "file:///etc/passwd"}, "must begin with https://"),
        ({"jwks_uri": "https://user:password@issuer.example/keys"}, "must have a host"),
        ({"jwks_uri": "/keys"}, "must begin with https://"),
        (b"<html>", "not UTF-8 JSON"),
        (b"\xff", "not UTF-8 JSON"),
        (b"[]", "not a JSON object"),
        (b'{"issuer":"a","issuer":"b"}', "a name occurs twice"),
    ],
)
async def test_a_document_that_is_not_this_issuers_or_leads_elsewhere_is_a_failed_fetch(
    server, clock, document, failure
):
    provider = Provider(server, "/a", clock)
    if isinstance(document, dict):
        changed = {
            name: value.replace("ISSUER", provider.issuer) if isinstance(value, str) else value
            for name, value in document.items()
        }
        provider.documents(**{"jwks_uri": f"{server.origin}/keys/a", **changed})
    else:
        server.documents[provider.discovery] = document
    with pytest.raises(Unavailable):
        await verifier(provider).verify(provider.token())
    assert provider.keys.failure.startswith("the discovery document: ")
    assert failure in provider.keys.failure
    assert "password@" not in provider.keys.failure


@pytest.mark.parametrize(
    "issuer",
    ["", "issuer", "http://issuer.example", "https://issuer.example/?a", "https://issuer.example/#a", "urn:issuer"],
)
def test_an_issuer_whose_keys_cannot_be_discovered_is_refused(issuer):
    with pytest.raises(ValueError, match="must"):
        Discovery(issuer, FETCHER)


async def test_the_document_is_fetched_again_after_an_hour_and_when_the_keys_have_gone(server, clock):
    provider = Provider(server, "/a", clock)
    takes = verifier(provider)
    assert await reason_of(takes, provider.token()) is None
    fetched = [provider.discovery, "/keys/a"]
    assert server.paths == fetched
    clock.now += APART
    assert await reason_of(takes, provider.token(Issuer())) == "key_unknown"
    fetched += ["/keys/a"]
    assert server.paths == fetched
    clock.now += DISCOVERED_FOR
    assert await reason_of(takes, provider.token(Issuer())) == "key_unknown"
    fetched += [provider.discovery, "/keys/a"]
    assert server.paths == fetched
    # The keys move: the old place is empty, the document names the new one.
    new = Issuer()
    server.documents["/keys/a"] = b"gone"
    server.documents[provider.discovery] = {"issuer": provider.issuer, "jwks_uri": f"{server.origin}/new"}
    server.documents["/new"] = new.jwks()
    clock.now += APART
    with pytest.raises(Unavailable):
        await takes.verify(provider.token(new))
    clock.now += APART
    assert await reason_of(takes, provider.token(new)) is None


async def test_discovered_keys_speak_for_their_own_issuer_alone(server, clock):
    one, two = Provider(server, "/one", clock), Provider(server, "/two", clock)
    takes = verifier(one, two)
    for provider in (one, two):
        assert await reason_of(takes, provider.token()) is None
    assert await reason_of(takes, one.token(two.signer)) == "issuer"
    assert await reason_of(takes, two.token(one.signer)) == "issuer"
    assert await reason_of(takes, one.token(iss="https://else.example")) == "issuer"


async def test_two_issuers_may_give_their_keys_the_same_name(server, clock):
    one, two = Provider(server, "/one", clock), Provider(server, "/two", clock)
    two.signer.kids = one.signer.kids
    two.documents(f"{server.origin}/keys/two")
    takes = verifier(one, two)
    for _ in range(2):
        for provider, other in ((one, two), (two, one)):
            assert await reason_of(takes, provider.token()) is None
            assert await reason_of(takes, provider.token(other.signer)) == "issuer"


async def test_a_key_that_two_issuers_share_speaks_for_both(server, clock):
    one, two = Provider(server, "/one", clock), Provider(server, "/two", clock)
    two.signer = one.signer
    two.documents(f"{server.origin}/keys/two")
    takes = verifier(one, two)
    assert [await reason_of(takes, provider.token()) for provider in (one, two, one)] == [None] * 3


async def test_an_issuer_that_is_away_holds_up_its_own_tokens_alone(server, clock):
    one, two = Provider(server, "/one", clock), Provider(server, "/two", clock)
    server.documents[two.discovery] = b""
    takes = verifier(one, two)
    assert await reason_of(takes, one.token()) is None
    with pytest.raises(Unavailable):
        await takes.verify(two.token())
    await takes.check()
    two.documents(f"{server.origin}/keys/two")
    clock.now += APART
    assert await reason_of(takes, two.token()) is None


async def test_without_the_keys_of_any_issuer_the_service_is_not_ready(server, clock):
    one, two = Provider(server, "/one", clock), Provider(server, "/two", clock)
    server.documents = {}
    with pytest.raises(Unavailable):
        await verifier(one, two).check()


async def test_a_document_with_members_of_all_kinds_is_read(server, clock):
    provider = Provider(server, "/a", clock)
    provider.documents(
        f"{server.origin}/keys/a",
        id_token_signing_alg_values_supported=["RS256"],
        claims_parameter_supported=True,
        mtls_endpoint_aliases={},
        something=None,
    )
    assert dumps(server.documents[provider.discovery])
    assert await reason_of(verifier(provider), provider.token()) is None
