"""From one token in hand to a service that takes it: suggest, paste, serve, 200."""

import asyncio
import time

import pytest

from servers.jwks import JwksServer
from servers.todo import Served
from support.command import todo
from support.hostile_claims import honest_claims
from support.issuers import Issuer, dumps
from support.provider_shapes import SHAPES
from todo_adapters.auth.discovery import PATH
from todo_app.commands.known_issuers import known_issuer
from todo_app.commands.token_suggestion import suggest
from todo_app.settings import read_settings

BY_NAME = {shape.provider: shape for shape in SHAPES}
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """A test asks nobody but itself."""
    for name in ("HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


def suggested(capsys, token, **settings):
    """The settings among the lines, all lines, and whether there were any to take."""
    # A refused port is a provider that is away; without it, tests would look up the hosts of real providers.
    fit = suggest(read_settings(environment={"HTTPS_PROXY": "http://127.0.0.1:9", **settings}), token)
    lines = capsys.readouterr().out.splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#")), lines, fit


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.provider)
def test_the_settings_for_a_provider_s_token_are_those_that_take_it(shape, issuer, capsys):
    given, lines, fit = suggested(capsys, shape.token(issuer))
    assert fit
    given.pop("TODO_JWKS_URL", None)
    given.pop("TODO_JWKS_HTTP_HOSTS", None)
    wanted = {**shape.settings}
    if wanted["TODO_JWT_AUDIENCE"] != "none":
        wanted.pop("TODO_JWT_CLIENTS", None)
    wanted["TODO_JWT_CLIENTS"] = given["TODO_JWT_CLIENTS"] if "TODO_JWT_CLIENTS" in wanted else None
    wanted = {name: value for name, value in wanted.items() if value is not None}
    several = [line for line in lines if "as well: which of them" in line]
    if several:
        assert given["TODO_JWT_AUDIENCE"] in shape.claims["aud"]
        given["TODO_JWT_AUDIENCE"] = wanted["TODO_JWT_AUDIENCE"]
    assert given == wanted
    assert not [line for line in lines if "cannot be accepted" in line]


NEW_USER = ["Auth0", "Clerk, session token", "Better Auth", "Logto", "Okta, custom authorization server", "Ory Hydra"]


@pytest.mark.parametrize("name", NEW_USER)
async def test_what_is_suggested_can_be_pasted_and_served(tmp_path, issuer, name):
    """The provider is on this machine, and its issuer with it; all else is its token's shape."""
    shape = BY_NAME[name]
    async with JwksServer() as provider:
        iss = provider.origin + ("/" if shape.claims["iss"].endswith("/") else "")
        better = name == "Better Auth"
        provider.document = b"nothing here"
        provider.documents["/api/auth/jwks" if better else "/keys"] = shape.keys(issuer)
        if not better:
            provider.documents[PATH] = {"issuer": iss, "jwks_uri": f"{provider.origin}/keys"}
        token = shape.token(issuer, iss=iss, **({"aud": iss} if better else {}))

        def paste_and_serve():
            ran = todo("token", "--suggest", cwd=tmp_path, given=f"Authorization: Bearer {token}\n")
            assert ran.returncode == 0
            (tmp_path / ".env").write_text(ran.stdout)
            with Served(tmp_path) as served:
                return ran.stdout, served.request("GET", "/api/me/tasks", token).status

        printed, status = await asyncio.to_thread(paste_and_serve)
        assert status == 200, printed
        assert provider.paths.count(PATH) >= 1
        assert f"# Fetching {provider.origin}{PATH}" in printed
        assert token not in printed


def test_a_token_of_a_shared_secret_names_everything_but_the_secret(capsys, issuer):
    token = issuer.token("HS256", honest_claims(time.time(), iss="https://a.example", aud="todo"))
    given, _, fit = suggested(capsys, token)
    assert fit
    assert given == {"TODO_JWT_SECRET": "", "TODO_JWT_ISSUER": "https://a.example", "TODO_JWT_AUDIENCE": "todo"}


@pytest.mark.parametrize(
    ("header", "claims", "says"),
    [
        ({"alg": "RS512"}, {}, "its alg is 'RS512'"),
        ({"alg": "ES256K"}, {}, "its alg is 'ES256K'"),
        ({"alg": "EdDSA", "typ": "dpop+jwt"}, {}, "typ is neither JWT nor at+jwt"),
        ({"alg": "EdDSA", "crit": ["b64"], "b64": False}, {}, "the member crit"),
        ({"alg": "EdDSA"}, {"exp": None}, "it has no exp"),
    ],
)
def test_what_no_setting_can_take_is_said(capsys, issuer, header, claims, says):
    good = honest_claims(time.time(), iss="urn:issuer", aud="todo")
    _, lines, fit = suggested(capsys, issuer.token("EdDSA", {**good, **claims}, header))
    assert not fit
    assert any(says in line for line in lines if line.startswith("# This token cannot be accepted: "))


@pytest.mark.parametrize(
    ("claims", "line"),
    [
        ({"nonce": "x"}, "# This looks like an ID token (it has nonce)"),
        ({"aud": None}, "# The token has no audience."),
        ({"aud": "account"}, "# Every application gets the audience 'account'"),
        ({"iss": None}, "# The token has no iss"),
        ({"sub": "ann@example.com"}, "# sub looks like an e-mail address"),
        ({"sub": None, "oid": "x"}, "TODO_JWT_USER_CLAIM=oid"),
        ({"sub": None}, "TODO_JWT_USER_CLAIM="),
        ({"iat": 0, "exp": 604_800}, "TODO_JWT_MAX_LIFETIME=604801"),
        ({"iss": "http://keycloak:8080/realms/x"}, "TODO_JWKS_HTTP_HOSTS=keycloak"),
        ({"iss": "https://kubernetes.default.svc.cluster.local"}, "# This is Kubernetes: save what kubectl"),
        ({"iss": "https://dev-1.okta.com"}, "# This is Okta's org authorization server: no other service"),
    ],
)
def test_what_to_know_of_a_token_is_said_beside_the_settings(capsys, issuer, claims, line):
    good = honest_claims(time.time(), iss="urn:issuer", aud="todo")
    given = {name: value for name, value in {**good, **claims}.items() if value is not None}
    _, lines, _ = suggested(capsys, issuer.token("EdDSA", given))
    assert any(each.startswith(line) for each in lines), lines


@pytest.mark.parametrize(
    "value",
    [
        "https://a.example\nTODO_JWT_SECRET=mine",
        "a b",
        "${HOME}",
        "`id`",
        "$(id)",
        "a;b",
        '"a',
        "a\\",
        "\x1b[31m",
        "a,b",
    ],
)
def test_a_value_that_means_more_than_itself_becomes_no_setting(capsys, issuer, value):
    claims = honest_claims(time.time(), iss=value, aud=value, azp=value)
    given, lines, _ = suggested(capsys, issuer.token("EdDSA", claims))
    assert set(given) <= {"TODO_JWKS_URL"}
    assert all(line.isprintable() for line in lines)
    claims = honest_claims(time.time(), iss="https://sts.example", azp=value)
    given, _, _ = suggested(capsys, issuer.token("EdDSA", claims))
    assert "TODO_JWT_CLIENTS" not in given


@pytest.mark.parametrize("text", ["", "opaque", "a.b", "a.b.c.d.e", "not.a.token", "..", "e30.e30"])
def test_what_is_no_jwt_gives_no_settings(capsys, text):
    given, lines, fit = suggested(capsys, text)
    assert (given, fit) == ({}, False)
    assert len(lines) == 1
    assert lines[0].startswith("# ")


@pytest.mark.parametrize(
    ("issuer_", "key_url"),
    [
        ("https://api.workos.com/user_management/client_01H", "https://api.workos.com/sso/jwks/client_01H"),
        ("stytch.com/project-live-1", "https://api.stytch.com/v1/sessions/jwks/project-live-1"),
        ("stytch.com/project-test-1", "https://test.stytch.com/v1/sessions/jwks/project-test-1"),
        ("https://x.cloudflareaccess.com", "https://x.cloudflareaccess.com/cdn-cgi/access/certs"),
        ("http://adfs.example.com/adfs/services/trust", "https://adfs.example.com/adfs/discovery/keys"),
        ("https://api.example.com/auth", "https://api.example.com/auth/jwt/jwks.json"),
        ("https://abc.supabase.co/auth/v1", "https://abc.supabase.co/auth/v1/.well-known/jwks.json"),
    ],
)
def test_issuers_whose_keys_are_elsewhere_are_known(issuer_, key_url):
    assert known_issuer(issuer_).key_url == key_url
    assert known_issuer(f"{issuer_}.evil.test/x") is None or "evil" in known_issuer(f"{issuer_}.evil.test/x").key_url


def test_suggesting_needs_no_settings_and_is_not_kept_by_bad_ones(tmp_path, issuer):
    token = issuer.token("HS256", honest_claims(time.time(), aud="todo"))
    for settings in ({}, {"TODO_JWT_SECRET": "short", "TODO_PORT": "x"}, {"TODO_JWT_ISSUER": "https://a.example"}):
        given = dumps({"access_token": token}).decode()
        ran = todo("token", "--suggest", cwd=tmp_path, given=given, **settings)
        assert ran.returncode == 0, ran.stderr
        assert "TODO_JWT_AUDIENCE=todo" in ran.stdout.splitlines()


def explained(tmp_path, text, **settings):
    return todo("token", "--explain", cwd=tmp_path, given=text, TODO_JWT_SECRET=SECRET, **settings)


def test_an_explanation_shows_the_trailing_slash(tmp_path):
    issuer = Issuer()
    issuer.keys["HS256"] = SECRET.encode()
    token = issuer.token("HS256", honest_claims(time.time(), iss="https://a.example", aud="web", azp="tv"))
    named = {"TODO_JWT_ISSUER": "https://a.example/", "TODO_JWT_AUDIENCE": "web ios", "TODO_JWT_CLIENTS": "web"}
    ran = explained(tmp_path, f'"Bearer {token}"', **named)
    assert ran.returncode == 1
    lines = ran.stdout.splitlines()
    failed = [line.split(":")[0] for line in lines if line.startswith("FAIL")]
    assert failed == ["FAIL  issuer", "FAIL  client"]
    place = next(number for number, line in enumerate(lines) if line.startswith("FAIL  issuer"))
    assert lines[place + 1 : place + 3] == [
        '        found       "https://a.example"',
        '        configured  "https://a.example/"',
    ]
    assert token not in ran.stdout
    good = dict(named, TODO_JWT_ISSUER="https://a.example", TODO_JWT_CLIENTS="tv")
    assert explained(tmp_path, token, **good).returncode == 0


def test_an_explanation_names_the_command_that_prints_settings_where_the_settings_are_at_fault(tmp_path):
    issuer = Issuer()
    issuer.keys["HS256"] = SECRET.encode()
    token = issuer.token("HS256", honest_claims(time.time(), iss="https://a.example", azp="web"))
    named = {"TODO_JWT_ISSUER": "https://a.example", "TODO_JWT_AUDIENCE": "web"}  # the token has no audience
    assert "todo token --suggest" in explained(tmp_path, token, **named).stdout.splitlines()[-1]
    good = {"TODO_JWT_ISSUER": "https://a.example", "TODO_JWT_AUDIENCE": "none", "TODO_JWT_CLIENTS": "web"}
    assert "--suggest" not in explained(tmp_path, token, **good).stdout
    assert "--suggest" not in explained(tmp_path, f"{token}x", **good).stdout


def test_an_explanation_knows_what_is_no_jwt_and_what_is_no_access_token(tmp_path):
    for text, note in (("opaque", "opaque token"), ("a..b.c.d", "encrypted token"), ("a.b", "two segments")):
        ran = explained(tmp_path, text)
        assert ran.returncode == 1
        assert f"{note}" in next(line for line in ran.stdout.splitlines() if line.startswith("note  "))


async def test_an_explanation_says_why_there_are_no_keys(tmp_path):
    async with JwksServer() as server:
        server.status = 404
        token = Issuer().token("EdDSA", honest_claims(time.time(), iss="https://a.example", aud="web"))
        named = {"TODO_JWT_ISSUER": "https://a.example", "TODO_JWT_AUDIENCE": "web", "TODO_JWKS_URL": server.url}
        ran = await asyncio.to_thread(explained, tmp_path, token, **named)
    (failed,) = [line for line in ran.stdout.splitlines() if line.startswith("FAIL")]
    assert failed.startswith("FAIL  key_unknown: ")
    assert failed.endswith("(TODO_JWKS_URL: status 404)")
    assert "ok    audience" in ran.stdout
