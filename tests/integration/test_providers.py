"""Tokens in the exact shape of real providers, each against a service with the settings of its provider."""

import time
from contextlib import asynccontextmanager

import pytest
from httpx import ASGITransport, AsyncClient

from servers.jwks import JwksServer
from support.issuers import Issuer, rsa_key
from support.lifespan import running
from support.provider_shapes import SHAPES
from todo_app.compose import application
from todo_app.settings import read_settings

SECRET = "0123456789abcdef0123456789abcdef"


class Quiet:
    """An audit log that nobody reads."""

    def record(self, event, **details):
        """Forget it."""


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@asynccontextmanager
async def served(**settings):
    """A service with these settings, and a client of it."""
    app = application(read_settings(environment={"TODO_DATABASE_URL": "memory:", **settings}), audit=Quiet())
    transport = ASGITransport(app)
    async with running(app), AsyncClient(base_url="http://service", transport=transport, timeout=30) as client:
        yield client


async def response(client, token):
    got = await client.post("/api/me/tasks", headers={"Authorization": f"Bearer {token}"}, json={"title": "x"})
    challenge = got.headers.get("www-authenticate", "")
    reason = challenge.partition('error_description="')[2].rstrip('"')
    return (got.status_code, got.json()["user_id"] if got.status_code == 201 else reason)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.provider)
async def test_a_provider_s_token_is_taken_with_its_settings_and_no_near_miss_is(shape, issuer):
    async with JwksServer(shape.keys(issuer)) as keys, served(TODO_JWKS_URL=keys.url, **shape.settings) as client:
        assert await response(client, shape.token(issuer)) == (201, shape.user)
        near = {
            "expired": {"exp": int(time.time()) - 60, "iat": int(time.time()) - 600},
            "issuer": {"iss": f"{shape.claims['iss']}x"},
            "audience": {"aud": ["https://else.example"]},
            "subject": {shape.settings.get("TODO_JWT_USER_CLAIM", "sub"): None},
        }
        if shape.settings.get("TODO_JWT_CLIENTS", "any") != "any":
            near["client"] = {"azp": "other"}
        for reason, changes in near.items():
            assert await response(client, shape.token(issuer, **changes)) == (401, reason)
        stranger = Issuer()
        stranger.kids = issuer.kids
        stranger.keys |= {"RS256": rsa_key(owner="stranger"), "PS256": rsa_key(owner="stranger")}
        assert await response(client, shape.token(stranger)) == (401, "signature")


async def test_a_token_of_the_secret_is_taken_beside_its_successor_as_in_supabase_s_rotation(issuer):
    shape = next(each for each in SHAPES if each.provider == "Supabase, signing keys")
    old = Issuer()
    async with (
        JwksServer(shape.keys(issuer)) as keys,
        served(TODO_JWKS_URL=keys.url, TODO_JWT_SECRET=old.secret.decode(), **shape.settings) as client,
    ):
        legacy = shape._replace(algorithm="HS256")
        for token in (shape.token(issuer), legacy.token(old)):
            assert await response(client, token) == (201, shape.user)
        assert (await response(client, legacy.token(issuer)))[0] == 401


def test_there_are_at_least_forty_shapes_and_every_algorithm_among_them():
    assert len(SHAPES) >= 50
    assert {shape.algorithm for shape in SHAPES} == {"EdDSA", "ES256", "ES384", "ES512", "PS256", "RS256"}
