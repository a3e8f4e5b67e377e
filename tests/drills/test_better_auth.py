"""A real provider: what Better Auth's users get to do here, with what it really hands them."""

import asyncio
import json
import re
import subprocess
import time
from base64 import urlsafe_b64decode
from contextlib import closing
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient

from servers import better_auth
from servers.better_auth import BetterAuth
from servers.node import NODE, installed
from support.recorded_events import RecordedEvents
from support.verifying import APART
from todo_app.compose import application
from todo_app.settings import read_settings

PAGE = (Path(__file__).parents[2] / "docs/providers.md").read_text()
BROWSER = """
import { createAuthClient } from "better-auth/client";
import { jwtClient } from "better-auth/client/plugins";
const [baseURL, bearer] = process.argv.slice(2);
const fetchOptions = { headers: { Authorization: `Bearer ${bearer}` } };
const authClient = createAuthClient({ baseURL, plugins: [jwtClient()], fetchOptions });
%s
console.log(await token());
"""
ALGORITHMS = ("EdDSA", "ES256", "RS256", "PS256", "ES512")


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    with BetterAuth(tmp_path_factory.mktemp("better-auth"), *ALGORITHMS) as provider:
        yield provider


@pytest.fixture(params=ALGORITHMS)
def algorithm(request):
    return request.param


@pytest.fixture
def recorded():
    return RecordedEvents()


@pytest.fixture
async def client(provider, algorithm, recorded):
    """A client of our service, set up for this provider as the README says."""
    async with AsyncClient(
        transport=ASGITransport(service(provider, algorithm, recorded)), base_url="http://todo"
    ) as client:
        yield client


@pytest.fixture
def session(provider, algorithm):
    with closing(provider.sign_up(algorithm)) as session:
        yield session


def service(provider, algorithm, recorded):
    url = provider.urls[algorithm]
    settings = {
        "TODO_DATABASE_URL": "memory:",
        "TODO_JWKS_URL": f"{url}/api/auth/jwks",
        "TODO_JWT_ISSUER": url,
        "TODO_JWT_AUDIENCE": url,
    }
    return application(read_settings(settings, environment={}), audit=recorded)


def signed_in(token):
    return {"Authorization": f"Bearer {token}"}


def header_of(token):
    head = token.partition(".")[0]
    return json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4)))


async def test_somebody_signs_up_fetches_a_token_and_keeps_tasks_with_it(client, session, algorithm, recorded):
    token = await asyncio.to_thread(session.token)
    assert header_of(token)["alg"] == algorithm
    made = await client.post("/api/me/tasks", headers=signed_in(token), json={"title": "Buy groceries"})
    assert made.status_code == 201
    assert made.json()["user_id"] == session.user_id
    listed = await client.get(f"/api/{session.user_id}/tasks", headers=signed_in(token))
    assert listed.json() == [made.json()]
    assert [event["event"] for event in recorded.events] == ["key_set_changed"]


async def test_the_line_of_the_page_gets_a_token_from_its_client_library(
    client, session, provider, algorithm, tmp_path
):
    (line,) = re.findall(r"// Better Auth.*\n(const token = .*\n)", PAGE)
    (tmp_path / "node_modules").symlink_to(installed(Path(better_auth.__file__).parent) / "node_modules")
    (tmp_path / "browser.mjs").write_text(BROWSER % line)
    command = [NODE, "browser.mjs", provider.urls[algorithm], session.bearer]
    ran = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    listed = await client.get("/api/me/tasks", headers=signed_in(ran.stdout.strip()))
    assert (listed.status_code, listed.json()) == (200, [])


async def test_two_of_its_users_do_not_see_each_other(client, session, provider, algorithm):
    with closing(provider.sign_up(algorithm)) as other:
        hers, his = session.token(), other.token()
    made = await client.post("/api/me/tasks", headers=signed_in(hers), json={"title": "Buy groceries"})
    assert (await client.get("/api/me/tasks", headers=signed_in(his))).json() == []
    task = f"/api/me/tasks/{made.json()['id']}"
    assert (await client.get(task, headers=signed_in(his))).status_code == 404
    assert (await client.get(f"/api/{session.user_id}/tasks", headers=signed_in(his))).status_code == 403


async def test_its_session_token_and_its_session_cookies_are_401(client, session, recorded):
    cached = session.cookies["better-auth.session_data"]
    assert header_of(cached)["alg"] == "HS256"  # a JWT of the same user, but not one for other services
    expected = {
        session.bearer: "malformed",
        session.cookies["better-auth.session_token"]: "malformed",
        cached: "algorithm",
    }
    for token, reason in expected.items():
        response = await client.get("/api/me/tasks", headers=signed_in(token))
        assert response.status_code == 401
        assert recorded.events[-1]["reason"] == reason


async def test_a_token_of_another_instance_is_401(client, provider, algorithm, recorded):
    other = ALGORITHMS[ALGORITHMS.index(algorithm) - 1]
    with closing(provider.sign_up(other)) as stranger:
        response = await client.get("/api/me/tasks", headers=signed_in(stranger.token()))
    assert response.status_code == 401
    assert recorded.events[-1]["reason"] == "key_unknown"


async def test_no_request_fails_while_the_provider_rotates_its_keys(provider):
    """All instances at once, since what takes long is the time between two fetches."""
    kids = await asyncio.gather(*(_rotated(provider, algorithm) for algorithm in ALGORITHMS))
    assert [len(used) for used in kids] == [2] * len(ALGORITHMS)


async def _rotated(provider, algorithm):
    """Send requests without a pause, with fresh tokens, before, while and after the key changes; return the kids."""
    recorded = RecordedEvents()
    app = service(provider, algorithm, recorded)
    session = await asyncio.to_thread(provider.sign_up, algorithm)
    first = await asyncio.to_thread(session.token)
    statuses, kids = [], set()
    begun = time.monotonic()
    rotated = False
    async with AsyncClient(transport=ASGITransport(app), base_url="http://todo") as client:
        while time.monotonic() < begun + APART + 2:
            if not rotated and time.monotonic() > begun + APART + 0.5:
                await asyncio.to_thread(provider.rotate, algorithm)
                rotated = True
            token = await asyncio.to_thread(session.token)
            kids.add(header_of(token)["kid"])
            responses = [await client.get("/api/me/tasks", headers=signed_in(one)) for one in (token, first)]
            statuses += [response.status_code for response in responses]  # what was signed before stays good, too
    session.close()
    assert set(statuses) == {200}
    assert [event["event"] for event in recorded.events] == ["key_set_changed"] * 2
    return kids
