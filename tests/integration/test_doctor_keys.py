"""What `todo doctor` says of the keys: how many, of which kind, which are left out, and why there are none."""

import asyncio

import pytest

from servers.jwks import JwksServer
from support.command import todo
from support.issuers import Issuer, dumps
from todo_adapters.auth.discovery import PATH

NAMED = {"TODO_DATABASE_URL": "memory:", "TODO_JWT_ISSUER": "https://issuer.example", "TODO_JWT_AUDIENCE": "todo"}
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def server():
    async with JwksServer(Issuer().jwks()) as server:
        yield server


async def identity(tmp_path, **settings):
    """The lines of doctor about tokens, and its status."""
    ran = await asyncio.to_thread(todo, "doctor", cwd=tmp_path, **{**NAMED, **settings})
    assert "Traceback" not in ran.stderr
    return [line for line in ran.stdout.splitlines() if " identity: " in line], ran.returncode


async def test_the_keys_are_counted_by_algorithm_and_those_left_out_have_their_reason(tmp_path, server):
    issuer = Issuer()
    server.document = {
        "keys": [
            *issuer.jwks("RS256", "ES384")["keys"],
            {**issuer.jwk("ES256"), "use": "enc", "kid": "e1"},
            {**issuer.jwk("RS256"), "alg": "RS512", "kid": "r5"},
            {"kty": "oct"},
        ]
    }
    lines, status = await identity(tmp_path, TODO_JWKS_URL=server.url)
    assert status == 0
    assert lines == [
        "ok    identity: TODO_JWKS_URL: 2 key(s): ES384 1, RS256 1",
        "note  identity: TODO_JWKS_URL: left out: key 3 ('e1') has a use other than sig",
        "note  identity: TODO_JWKS_URL: left out: key 4 ('r5') has an alg other than RS256 or PS256",
        "note  identity: TODO_JWKS_URL: left out: key 5 is of a type or on a curve that is not supported",
    ]


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"status": 404}, "status 404"),
        ({"document": b"<html>"}, "not UTF-8 JSON"),
        ({"document": {"keys": []}}, "no key in it"),
    ],
)
async def test_the_cause_is_said_where_there_are_no_keys(tmp_path, server, fault, cause):
    vars(server).update(fault)
    lines, status = await identity(tmp_path, TODO_JWKS_URL=server.url)
    assert (lines, status) == ([f"FAIL  identity: TODO_JWKS_URL: {cause}"], 1)


async def test_a_provider_that_is_away_or_slow_at_first_is_told_apart(tmp_path, server):
    server.delay = 2.5
    lines, status = await identity(tmp_path, TODO_JWKS_URL=server.url)
    assert (lines[0].startswith("ok    identity: TODO_JWKS_URL: 6 key(s)"), status) == (True, 0)
    await server.stop()
    lines, status = await identity(tmp_path, TODO_JWKS_URL=server.url)
    assert (lines, status) == (["FAIL  identity: TODO_JWKS_URL: the connection was refused"], 1)


async def test_each_discovered_issuer_has_its_line(tmp_path, server):
    server.documents[f"/a{PATH}"] = {"issuer": f"{server.origin}/a", "jwks_uri": server.url}
    server.documents[f"/b{PATH}"] = {"issuer": f"{server.origin}/b/", "jwks_uri": server.url}
    issuers = f"{server.origin}/a {server.origin}/b"
    lines, status = await identity(tmp_path, TODO_JWT_ISSUER=issuers)
    assert status == 1
    assert lines[0].startswith(f"ok    identity: {server.origin}/a: 6 key(s): ")
    slash = f"its issuer is '{server.origin}/b/', not '{server.origin}/b'"
    assert lines[1] == f"FAIL  identity: {server.origin}/b: the discovery document: {slash}"
    assert lines[2].startswith("note  identity: TODO_JWT_ISSUER names several issuers")


async def test_the_way_to_the_keys_and_the_secrets_are_named(tmp_path, server):
    lines, status = await identity(
        tmp_path,
        TODO_JWKS_URL=server.url,
        TODO_JWT_SECRET=f"{SECRET} {SECRET[::-1]}",
        HTTPS_PROXY="http://ann:hunter2@proxy.example:3128",
        NO_PROXY="localhost",
        TODO_JWKS_HTTP_HOSTS="keycloak",
    )
    assert status == 0
    assert lines[0] == "ok    identity: 2 shared secret(s) (HS256)"
    assert lines[2:] == [
        "note  identity: keys are fetched through HTTPS_PROXY, except for NO_PROXY",
        "note  identity: TODO_JWKS_HTTP_HOSTS: keys may come over plain http from keycloak",
    ]


async def test_a_file_is_read(tmp_path):
    (tmp_path / "keys.json").write_bytes(dumps(Issuer().jwks("EdDSA")))
    lines, _ = await identity(tmp_path, TODO_JWKS_FILE="keys.json")
    assert lines == ["ok    identity: TODO_JWKS_FILE: 1 key(s): EdDSA 1"]
    lines, status = await identity(tmp_path, TODO_JWKS_FILE="nowhere.json")
    assert (lines, status) == (["FAIL  identity: TODO_JWKS_FILE cannot be used: No such file or directory"], 1)
