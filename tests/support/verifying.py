"""What the tests of the verifier stand on: time and keys in their hands, and the settings of a service."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from servers.jwks import JwksServer
from support.hostile_claims import honest_claims
from support.hostile_signatures import ALGORITHMS, Mode
from support.hostile_tokens import Row, hostile_tokens
from support.issuers import Issuer, dumps
from todo_adapters.auth.claims import ClaimRules
from todo_adapters.auth.fetching import Fetcher
from todo_adapters.auth.jwks import FETCHED, JwksKeys, LoadTimes
from todo_adapters.auth.key_set import KeySet, parse_key_set
from todo_adapters.auth.keys import Key, SharedSecrets
from todo_adapters.auth.loading import KeyUrl, Loader
from todo_adapters.auth.verifier import Verifier
from todo_domain.deadline import Deadline
from todo_domain.errors import Unauthenticated, Unavailable

ISSUER, AUDIENCE = "https://issuer.example", "https://todo.example"
RULES = ClaimRules(issuers=frozenset({ISSUER}), audiences=frozenset({AUDIENCE}))
NOW = 1_790_000_000.25

APART = FETCHED.apart

# A context takes long to make, and over http nobody needs it. A busy machine must not be a slow provider.
FETCHER = Fetcher(tls=ssl.create_default_context())
PATIENT = replace(FETCHED, first=60.0, later=60.0)


class Time:
    """Seconds since 1970 that stand still until a test moves them."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@cache
def one_issuer() -> Issuer:
    """The issuer of every scene: making its keys takes longer than a test, and no test changes them."""
    return Issuer()


@cache
def key_set_of(*issuers: Issuer) -> KeySet:
    """The keys of these issuers as a verifier reads them."""
    return parse_key_set(dumps({"keys": [key for issuer in issuers for key in issuer.jwks()["keys"]]}))


@cache
def hostile_rows(mode: Mode) -> tuple[Row, ...]:
    """The tokens that a scene in this mode refuses."""
    return tuple(hostile_tokens(mode, one_issuer(), now=NOW, issuer=ISSUER, audience=AUDIENCE))


class Keys:
    """A key source that counts how often it is asked."""

    def __init__(self, mode: Mode, issuer: Issuer) -> None:
        self.algorithms = frozenset(ALGORITHMS[mode])
        self.version = 0
        self.found = self.searched = 0
        self.trust(issuer)

    def trust(self, *issuers: Issuer) -> None:
        """Have the keys of these issuers from now on."""
        self._keys: KeySet | SharedSecrets
        if self.algorithms == {"HS256"}:
            self._keys = SharedSecrets([issuer.secret for issuer in issuers])
        else:
            self._keys = key_set_of(*issuers)
        self.version += 1

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        self.found += 1
        return self._keys.find(kid, algorithm)

    async def search(self, kid: str | None, algorithm: str, **_: object) -> Sequence[Key]:
        self.searched += 1
        return self._keys.find(kid, algorithm)

    async def check(self, **_: object) -> None:
        raise Unavailable("no keys")

    async def open(self) -> None:
        """Nothing is loaded."""

    async def aclose(self) -> None:
        """Nothing is under way."""


async def reason_of(verifier: Verifier, token: str, *, seconds: float = 60.0) -> str | None:
    """The reason for which a token is refused, None if it is taken."""
    try:
        await verifier.verify(token, deadline=Deadline.within(seconds))
    except Unauthenticated as refused:
        return refused.reason
    return None


class Scene:
    """A verifier in one mode, and all that is in its hands."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.algorithm = ALGORITHMS[mode][0]
        self.issuer = one_issuer()
        self.now = Time()
        self.keys = Keys(mode, self.issuer)
        self.verifier = Verifier(self.keys, RULES, clock=self.now)

    def sign(self, **changes: object) -> str:
        """A token with good claims and these changes."""
        claims = honest_claims(NOW, **{"iss": ISSUER, "aud": AUDIENCE, **changes})
        return self.issuer.token(self.algorithm, claims)


class FetchScene:
    """A provider, and a verifier that fetches from it with time in the test's hands."""

    def __init__(self, server: JwksServer, *, loader: Loader | None = None, times: LoadTimes = PATIENT) -> None:
        self.server = server
        self.issuer = one_issuer()
        server.document = self.issuer.jwks()
        self.now = Time()
        self.changes: list[int] = []
        self.keys = JwksKeys(
            loader or KeyUrl(server.url, FETCHER), times=times, clock=self.now, on_change=self.changes.append
        )
        self.verifier = Verifier(self.keys, RULES, clock=self.now)

    def token(self, algorithm: str = "EdDSA", *, issuer: Issuer | None = None) -> str:
        """A good token, by default of the provider's issuer."""
        claims = honest_claims(self.now(), iss=ISSUER, aud=AUDIENCE)
        return (issuer or self.issuer).token(algorithm, claims)

    async def verdict(self, token: str, *, seconds: float = 60.0) -> str:
        """Say taken, away, or the reason of the refusal; the deadline is so many seconds away."""
        try:
            return await reason_of(self.verifier, token, seconds=seconds) or "taken"
        except Unavailable as unavailable:
            said = str(unavailable), 1 <= unavailable.retry_after <= APART
        assert said == ("the key set that verifies tokens is out of reach: try again", True)
        return "away"

    async def settle(self) -> None:
        """Wait for a fetch in the background."""
        if self.keys._loading:
            await asyncio.wait([self.keys._loading])
