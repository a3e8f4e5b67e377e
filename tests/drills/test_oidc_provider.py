"""A real issuer: oidc-provider, found by discovery, with access tokens of RFC 9068 for this service."""

import asyncio
import json
import subprocess
from base64 import urlsafe_b64decode

import pytest
from httpx import ASGITransport, AsyncClient

from servers.oidc_provider import RESOURCE, OidcProvider
from servers.todo import TODO, environment
from support.recorded_events import RecordedEvents
from todo_app.compose import application
from todo_app.settings import read_settings

ALGORITHMS = ("ES384", "PS256", "Ed25519", "ES512")


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    with OidcProvider(tmp_path_factory.mktemp("oidc-provider"), *ALGORITHMS) as provider:
        yield provider


@pytest.fixture(params=ALGORITHMS)
def algorithm(request):
    return request.param


@pytest.fixture
def recorded():
    return RecordedEvents()


def named(provider, **more):
    return {"TODO_JWT_ISSUER": provider.issuer, "TODO_JWT_AUDIENCE": RESOURCE, **more}


def client_of(recorded, **settings):
    app = application(read_settings(environment={"TODO_DATABASE_URL": "memory:", **settings}), audit=recorded)
    return AsyncClient(transport=ASGITransport(app), base_url="http://todo")


async def token_of(provider, name, algorithm):
    return await asyncio.to_thread(provider.token, name, algorithm)


def signed_in(token):
    return {"Authorization": f"Bearer {token}"}


async def test_its_access_tokens_are_taken_with_issuer_and_audience_alone(provider, algorithm, recorded):
    ann, bob = [await token_of(provider, name, algorithm) for name in ("ann", "bob")]
    header = json.loads(urlsafe_b64decode(ann.partition(".")[0] + "=="))
    assert (header["alg"], header["typ"]) == (algorithm, "at+jwt")
    async with client_of(recorded, **named(provider)) as client:
        made = await client.post("/api/me/tasks", headers=signed_in(ann), json={"title": "Buy groceries"})
        assert made.status_code == 201
        assert made.json()["user_id"] == f"ann-{algorithm}"
        assert (await client.get("/api/me/tasks", headers=signed_in(bob))).json() == []
    assert [event["event"] for event in recorded.events] == ["key_set_changed"]
    assert recorded.events[0]["issuer"] == provider.issuer


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"TODO_JWT_AUDIENCE": "https://else.example"}, "audience"),
        ({"TODO_JWT_AUDIENCE": "none", "TODO_JWT_CLIENTS": "any"}, "audience"),
        ({"TODO_JWT_CLIENTS": "bob-ES384"}, "client"),
        ({"TODO_JWT_CLIENTS": "bob-ES384 ann-ES384"}, None),
    ],
)
async def test_a_token_for_somebody_else_is_refused_for_its_reason(provider, recorded, settings, reason):
    token = await token_of(provider, "ann", "ES384")
    async with client_of(recorded, **{**named(provider), **settings}) as client:
        response = await client.get("/api/me/tasks", headers=signed_in(token))
    assert response.status_code == (401 if reason else 200)
    assert reason is None or f'error_description="{reason}"' in response.headers["www-authenticate"]


async def test_an_issuer_that_differs_by_a_slash_is_found_out_by_discovery(provider, recorded):
    token = await token_of(provider, "ann", "PS256")
    async with client_of(recorded, **named(provider, TODO_JWT_ISSUER=provider.issuer + "/")) as client:
        assert (await client.get("/api/me/tasks", headers=signed_in(token))).status_code == 503


async def test_what_is_suggested_for_its_token_takes_it(provider, recorded, tmp_path):
    token = await token_of(provider, "ann", "Ed25519")
    ran = await asyncio.to_thread(
        subprocess.run,
        [TODO, "token", "--suggest"],
        input=json.dumps({"access_token": token, "token_type": "Bearer"}),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    settings = dict(line.split("=", 1) for line in ran.stdout.splitlines() if not line.startswith("#"))
    assert settings == named(provider)
    async with client_of(recorded, **settings) as client:
        assert (await client.get("/api/me/tasks", headers=signed_in(token))).status_code == 200
