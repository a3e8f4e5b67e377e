"""Whom a running service believes: discovery, files, proxies, authorities, and what it says when it starts."""

import asyncio
import json
import logging
import ssl
import time

import pytest
from httpx import ASGITransport, AsyncClient

from servers.connect_proxy import ConnectProxy
from servers.jwks import JwksServer
from servers.todo import Served, todo
from support import command
from support.certificates import self_signed
from support.hostile_claims import honest_claims
from support.issuers import Issuer, dumps
from support.lifespan import running
from todo_adapters.auth.discovery import PATH
from todo_app.compose import application
from todo_app.settings import read_settings

ISSUER, AUDIENCE = "https://issuer.example", "todo"
NAMED = {"TODO_JWT_ISSUER": ISSUER, "TODO_JWT_AUDIENCE": AUDIENCE}
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
async def server(issuer):
    async with JwksServer(issuer.jwks()) as server:
        yield server


def token(issuer, *, iss=ISSUER, algorithm="EdDSA"):
    return issuer.token(algorithm, honest_claims(time.time(), iss=iss, aud=AUDIENCE))


async def status(directory, *tokens, **settings):
    """Serve with these settings and return the status of a list for each token, and the `start` event."""

    def run():
        with Served(directory, TODO_DATABASE_URL="memory:", TODO_AUDIT_LOG="audit.log", **settings) as served:
            statuses = [served.request("GET", "/api/me/tasks", token).status for token in tokens]
        lines = (directory / "audit.log").read_text().splitlines()
        return statuses, next(line for line in map(json.loads, lines) if line["event"] == "start")

    return await asyncio.to_thread(run)


async def test_issuer_and_audience_are_enough_where_the_issuer_can_be_discovered(tmp_path, issuer, server):
    server.documents[PATH] = {"issuer": server.origin, "jwks_uri": server.url}
    statuses, started = await status(
        tmp_path,
        token(issuer, iss=server.origin),
        token(Issuer(), iss=server.origin),
        token(issuer),
        TODO_JWT_ISSUER=server.origin,
        TODO_JWT_AUDIENCE=AUDIENCE,
    )
    assert statuses == [200, 401, 401]
    assert started["identity"] == "jwks by discovery"
    assert not list(tmp_path.glob("*.secret"))


async def test_a_key_file_serves_without_any_network(tmp_path, issuer):
    (tmp_path / "keys.json").write_bytes(dumps(issuer.jwks()))
    statuses, started = await status(tmp_path, token(issuer), token(Issuer()), TODO_JWKS_FILE="keys.json", **NAMED)
    assert statuses == [200, 401]
    assert started["identity"] == "jwks file"


async def test_secrets_and_a_key_set_serve_together(tmp_path, issuer, server):
    settings = {"TODO_JWKS_URL": server.url, "TODO_JWT_SECRET": SECRET, **NAMED}
    signed = await asyncio.to_thread(todo, "token", "--user", "ann", cwd=tmp_path, **settings)
    statuses, started = await status(tmp_path, token(issuer), signed.stdout.strip(), **settings)
    assert statuses == [200, 200]
    assert started["identity"] == "jwks and 1 shared secret(s)"


async def test_keys_come_through_the_proxy_and_from_a_private_authority(tmp_path, issuer):
    certificate = self_signed(tmp_path / "certificate.pem")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    async with JwksServer(issuer.jwks(), tls=tls) as server, ConnectProxy() as proxy:
        settings = {"TODO_JWKS_URL": server.url, "SSL_CERT_FILE": str(certificate), **NAMED}
        statuses, started = await status(tmp_path, token(issuer), HTTPS_PROXY=proxy.url, NO_PROXY="", **settings)
        assert statuses == [200]
        assert proxy.asked == [f"CONNECT {server.origin.removeprefix('https://')}"]
        assert (started["https_proxy"], started["ca_file"]) == ("set", str(certificate))
        assert "hunter2" not in (tmp_path / "audit.log").read_text()
        (tmp_path / "past").mkdir()
        past = await status(tmp_path / "past", token(issuer), https_proxy=proxy.url, NO_PROXY="127.0.0.1", **settings)
        assert past[0] == [200]
        assert len(proxy.asked) == 1


async def test_a_proxy_that_refuses_is_said_without_its_password(caplog):
    async with ConnectProxy(status=407) as proxy:
        settings = {"TODO_JWKS_URL": "https://issuer.example/jwks", "HTTPS_PROXY": proxy.url, **NAMED}
        app = application(read_settings({"TODO_DATABASE_URL": "memory:"}, environment=settings))
        async with running(app), AsyncClient(transport=ASGITransport(app), base_url="http://todo") as client:
            assert (await client.get("/health/ready")).status_code == 503
    (message,) = [record.getMessage() for record in caplog.records if record.name == "todo.auth"]
    assert message == "the key set was not fetched: the proxy refused the request"


async def test_a_fault_of_the_keys_is_logged_at_the_start_without_a_request(server, caplog, monkeypatch):
    server.status = 500
    settings = {"TODO_JWKS_URL": server.url, "TODO_DATABASE_URL": "memory:", **NAMED}
    said = asyncio.Event()
    logger = logging.getLogger("todo.auth")
    monkeypatch.setattr(logger, "warning", lambda *words, warning=logger.warning: (warning(*words), said.set()))
    with caplog.at_level(logging.WARNING, "todo.auth"):
        async with running(application(read_settings(environment=settings))):
            await server.arrived.wait()
            await said.wait()
            messages = [each.getMessage() for each in caplog.records if each.name == "todo.auth"]
    assert messages == ["the key set was not fetched: status 500"]


async def test_a_fetch_under_way_ends_with_the_service(server):
    server.delay = 600
    settings = {"TODO_JWKS_URL": server.url, "TODO_DATABASE_URL": "memory:", **NAMED}
    before = asyncio.all_tasks()
    async with running(application(read_settings(environment=settings))):
        await server.arrived.wait()
    left = {each for each in asyncio.all_tasks() - before if "JwksKeys" in repr(each.get_coro())}
    assert left == set()


async def test_what_an_operator_should_know_is_said_at_the_start_and_by_doctor(tmp_path, issuer, caplog):
    (tmp_path / "keys.json").write_bytes(dumps(issuer.jwks()))
    settings = {
        "TODO_DATABASE_URL": "memory:",
        "TODO_JWKS_FILE": str(tmp_path / "keys.json"),
        "TODO_JWT_ISSUER": "https://a.example https://b.example",
        "TODO_JWT_AUDIENCE": "none",
        "TODO_JWT_CLIENTS": "any",
    }
    async with running(application(read_settings(environment=settings))):
        pass
    said = [record.getMessage() for record in caplog.records if record.name == "todo"]
    sick = await asyncio.to_thread(todo, "doctor", cwd=tmp_path, **settings)
    for lines in (said, sick.stdout.splitlines()):
        assert any("TODO_JWT_CLIENTS=any accepts tokens of every client" in line for line in lines)
        assert any("TODO_JWT_ISSUER names several issuers" in line for line in lines)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"TODO_JWT_ISSUER": ISSUER}, "TODO_JWT_ISSUER needs TODO_JWT_AUDIENCE"),
        ({"TODO_JWT_ISSUER": "my-issuer", "TODO_JWT_AUDIENCE": "a"}, "TODO_JWT_ISSUER must begin with https://"),
        ({"TODO_JWT_ISSUER": "http://a.example", "TODO_JWT_AUDIENCE": "a"}, "TODO_JWT_ISSUER must begin with https://"),
        ({"TODO_JWKS_URL": "http://a.example/jwks", **NAMED}, "TODO_JWKS_URL must begin with https://"),
        ({"TODO_JWKS_FILE": "nowhere.json", **NAMED}, "TODO_JWKS_FILE cannot be used: No such file"),
        ({"TODO_JWKS_FILE": "empty.json", **NAMED}, "TODO_JWKS_FILE cannot be used: not UTF-8 JSON"),
        ({"SSL_CERT_FILE": "empty.json", **NAMED}, "SSL_CERT_FILE is not a file of PEM certificates"),
        ({"HTTPS_PROXY": "socks5://ann:hunter2@proxy:1080", **NAMED}, "HTTPS_PROXY must be the URL of a proxy"),
        ({"HTTPS_PROXY": "proxy:3128", **NAMED}, "HTTPS_PROXY must be the URL of a proxy"),
    ],
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_keys_that_cannot_be_had_with_these_settings_stop_the_start_in_one_sentence(tmp_path, settings, says, workers):
    (tmp_path / "empty.json").write_bytes(b"")
    ran = command.todo("serve", "--port", "0", "--workers", workers, cwd=tmp_path, **settings)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith(f"todo: {says}")
    assert "Traceback" not in ran.stderr
    assert "hunter2" not in ran.stderr
    assert not list(tmp_path.glob("*.secret"))
    assert [path.name for path in tmp_path.iterdir()] == ["empty.json"]


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 64, b"x" * 31, b"x" * 32 + b" " + b"y" * 32])
def test_a_secret_file_without_a_secret_is_said_in_one_sentence_and_left_alone(tmp_path, content):
    path = tmp_path / "todo.db.secret"
    path.write_bytes(content)
    for arguments in (("serve", "--port", "0"), ("token", "--user", "ann")):
        ran = command.todo(*arguments, cwd=tmp_path)
        assert ran.returncode == 1
        assert ran.stderr.startswith(
            "todo: TODO_JWT_SECRET is not set, and todo.db.secret holds no secret of at least 32"
        )
        assert len(ran.stderr.splitlines()) == 1
    assert path.read_bytes() == content


async def test_the_way_to_the_keys_is_named_at_the_start(server, caplog):
    settings = {
        "TODO_DATABASE_URL": "memory:",
        "TODO_JWKS_URL": server.url,
        "TODO_JWKS_HTTP_HOSTS": "keycloak",
        "HTTPS_PROXY": "http://ann:hunter2@proxy.example:3128",
        "NO_PROXY": "localhost",
        **NAMED,
    }
    with caplog.at_level(logging.INFO, "todo"):
        async with running(application(read_settings(environment=settings))):
            pass
    said = [record.getMessage() for record in caplog.records if record.name == "todo"]
    assert "keys are fetched through HTTPS_PROXY, except for NO_PROXY" in said
    assert "TODO_JWKS_HTTP_HOSTS: keys may come over plain http from keycloak" in said
    assert "hunter2" not in str(said)
