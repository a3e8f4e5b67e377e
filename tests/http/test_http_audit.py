"""What the audit log hears of requests: every refusal once, and nothing that would help a thief."""

import base64
import hashlib
import json
import secrets
import time
from collections import Counter
from contextlib import closing
from urllib.parse import quote

import pytest
from apis import in_memory

from support.hostile_claims import honest_claims
from support.hostile_tokens import hostile_tokens
from support.issuers import Issuer
from support.recorded_events import RecordedEvents
from support.verifying import AUDIENCE, ISSUER, RULES, Keys
from todo_adapters.audit import LINES_APIECE, AuditLines
from todo_adapters.auth.keys import SharedSecrets
from todo_adapters.auth.verifier import Verifier
from todo_domain import NotIsolated


class Untouchable:
    """A store that nobody may ask anything."""

    def __getattr__(self, name):
        async def asked(*_, **__):
            raise AssertionError(f"the store was asked: {name}")

        return asked


@pytest.fixture
def recorded():
    return RecordedEvents()


@pytest.fixture
def api(recorded):
    with in_memory(audit=recorded) as api:
        yield api


def digest(token):
    return hashlib.sha256(token.encode()).hexdigest()[:12]


@pytest.mark.parametrize("mode", ["secret", "jwks"])
async def test_each_hostile_token_is_401_with_its_reason_in_the_audit_log_and_no_store_is_asked(recorded, mode):
    issuer = Issuer()
    verifier = Verifier(Keys(mode, issuer), RULES)
    rows = [*hostile_tokens(mode, issuer, now=time.time(), issuer=ISSUER, audience=AUDIENCE)]
    sendable = [row for row in rows if row.sendable]
    assert len(sendable) >= 150
    with in_memory(audit=recorded, verifier=verifier, store=Untouchable()) as api:
        for row in sendable:
            response = await api.client.request("GET", "/api/me/tasks", token=row.token)
            assert response.status == 401, row
            event = recorded.last()
            assert (event["event"], event["reason"]) == ("token_refused", row.reason), row
            assert event["token"] == digest(row.token)
            assert event["subject"] is None
    assert len(recorded.events) == len(sendable)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "no_token"),
        ([("Authorization", "")], "no_token"),
        ([("Authorization", "Bearer")], "no_token"),
        ([("Authorization", "Basic YW5uOnNlY3JldA==")], "no_token"),
        ([("Authorization", "Digest username=ann")], "no_token"),
        ([("Authorization", "Bearer a.b.c"), ("Authorization", "Bearer a.b.c")], "two_authorizations"),
        ([("Authorization", "Bearer  ")], "no_token"),
    ],
)
async def test_a_request_without_a_token_has_its_reason_too(api, recorded, headers, reason):
    response = await api.request("GET", "/api/me/tasks", headers=headers)
    assert response.status == 401
    assert recorded.last()["reason"] == reason


async def test_a_refused_token_is_told_with_everything_but_itself(api, recorded):
    ann = api.user()
    expired = api.token(ann.id, exp=int(time.time()) - 600)
    response = await api.request(
        "HEAD", f"{ann.path}/tasks/7", token=expired, headers=[("X-Request-ID", "from-the-client-1")]
    )
    assert response.status == 401
    assert recorded.events == [
        {
            "event": "token_refused",
            "reason": "expired",
            "request_id": "from-the-client-1",
            "method": "HEAD",
            "route": "/api/{user_id}/tasks/{key}",
            "subject": None,
            "token": digest(expired),
            "peer": "127.0.0.1",
        }
    ]


async def test_a_refused_path_is_told_with_the_verified_subject(api, recorded):
    ann, bob = api.user(), api.user()
    response = await api.request("PATCH", f"{bob.path}/tasks/7/complete", token=ann.token)
    assert response.status == 403
    event = recorded.last()
    assert (event["event"], event["reason"], event["subject"]) == ("path_refused", "other_user", ann.id)
    assert event["route"] == "/api/{user_id}/tasks/{key}/complete"
    assert event["request_id"] == response.header("x-request-id")
    assert event["token"] == digest(ann.token)
    assert len(recorded.events) == 1


async def test_a_preflight_of_an_origin_that_is_not_configured_is_told_with_the_origin(recorded):
    listed, other = "https://app.example", "http://localhost:5173"
    asked = ("Access-Control-Request-Method", "GET")
    with in_memory(audit=recorded, cors_origins=[listed]) as api:
        for headers in ([asked, ("Origin", listed)], [asked], [asked, ("Origin", "")], [("Origin", other)]):
            await api.request("OPTIONS", "/api/me/tasks", headers=headers)
        assert recorded.events == []
        await api.request("OPTIONS", "/api/me/tasks", headers=[asked, ("Origin", other)])
    (event,) = recorded.events
    assert (event["event"], event["reason"], event["origin"]) == ("origin_refused", "not_configured", other)


async def test_a_task_that_the_caller_does_not_have_is_one_event_whoever_has_it(api, recorded):
    ann, bob = api.user(), api.user()
    of_bob = (await bob.task())["id"]
    for task_id in (of_bob, of_bob + 1_000_000):
        assert (await ann("GET", f"/tasks/{task_id}")).status == 404
    first, second = recorded.events
    assert first["event"] == "task_not_found"
    assert {**first, "request_id": None} == {**second, "request_id": None}
    assert first["subject"] == ann.id


async def test_what_is_no_security_event_leaves_no_line(api, recorded):
    ann = api.user()
    task = await ann.task()
    for method, below, how in (
        ("GET", "/tasks?stauts=x", {}),
        ("GET", "/tasks/0", {}),
        ("GET", "/nowhere", {}),
        ("POST", "/tasks", {"json": {}}),
        ("PUT", f"/tasks/{task['id']}", {"json": {"title": "x"}, "headers": [("If-Match", '"999"')]}),
        ("TRACE", "/tasks", {}),
        ("GET", "/tasks", {"headers": [("X-Large", "x" * 20_000)]}),
    ):
        assert (await ann(method, below, **how)).status >= 400
    assert recorded.events == []


async def test_the_credentials_of_another_scheme_are_not_even_told_as_a_digest(api, recorded):
    await api.request("GET", "/api/me/tasks", headers=[("Authorization", "Basic YW5uOnNlY3JldA==")])
    assert recorded.last()["token"] is None


async def test_readiness_records_that_row_level_security_is_not_in_force(recorded):
    class Unwalled(Untouchable):
        async def check(self, **_):
            raise NotIsolated("row-level security is not in force")

    with in_memory(audit=recorded, store=Unwalled()) as api:
        response = await api.bare.request("GET", "/health/ready")
    assert response.status == 503
    assert (recorded.last()["event"], recorded.last()["route"]) == ("rls_not_in_force", "/health/ready")


async def _hostile_run(api, issuer, planted):
    """A few thousand requests that mean no good; returns how often each status came, and how many ids were guessed."""
    statuses, guesses = Counter(), 0
    ann, bob = api.user('ann\u2028\u202e{"event": "forged"}'), api.user()
    await bob.task(title=planted[0], description=planted[1])
    await ann.task(title=planted[0], description=planted[1])

    async def send(method, target, **how):
        statuses[(await api.bare.request(method, target, **how)).status] += 1

    for row in hostile_tokens("secret", issuer, now=time.time()):
        if row.sendable:
            await send("GET", f"{ann.path}/tasks", token=row.token)
            await send("DELETE", f"{bob.path}/tasks/1", token=row.token)
    for number in range(400):
        method = ("GET", "HEAD", "PUT", "PATCH", "DELETE")[number % 5]
        body = {"json": {"title": planted[0], "description": planted[1]}} if method in {"PUT", "PATCH"} else {}
        await send(method, f"{bob.path}/tasks/{number + 1}", token=ann.token, **body)
        await send("POST", f"/api/{quote(planted[0])}/tasks", token=ann.token, json={"title": planted[0]})
        await send(method, f"/api/me/tasks/{number + 10_000}", token=ann.token, **body)
        guesses += 1
        await send("GET", "/api/%ff/tasks", token=ann.token)
        await send("GET", "/api/me/tasks")
        await send("GET", "/api/me/tasks", headers=[("Authorization", f"Basic {planted[2]}")])
        await send("GET", "/api/me/tasks", headers=[("Authorization", "Bearer a"), ("Authorization", "Bearer b")])
        await send("GET", f"/api/me/tasks?q={quote(planted[0])}&nope=1", token=ann.token)
        await send("POST", "/api/me/tasks", token=ann.token, body=b'{"title": "%s"' % planted[0].encode())
        await send("GET", "/api/me/tasks/..%2f..", token=ann.token)
    return statuses, guesses


async def test_over_a_hostile_run_the_counts_are_the_401s_and_403s_and_nothing_secret_is_written(tmp_path):
    path = tmp_path / "audit.log"
    issuer = Issuer()
    planted = [f"planted-{kind}-{secrets.token_hex(8)}" for kind in ("title", "description")]
    planted.append(base64.b64encode(f"ann:{secrets.token_hex(8)}".encode()).decode())
    with closing(AuditLines(str(path))) as audit:
        verifier = Verifier(SharedSecrets([issuer.secret]))
        with in_memory(audit=audit, verifier=verifier) as api:
            api._secret = issuer.secret
            statuses, guesses = await _hostile_run(api, issuer, planted)
    raw = path.read_text(encoding="ascii")
    lines = [json.loads(line) for line in raw.splitlines()]
    counted = Counter()
    for line in lines:
        counted[line["event"]] += line.get("count", 1)
    assert statuses[401] > 1_500
    assert statuses[403] == 1_200
    assert counted == {"token_refused": statuses[401], "path_refused": statuses[403], "task_not_found": guesses}
    assert not any(status >= 500 for status in statuses)
    assert len(lines) < LINES_APIECE * 25  # a few lines for each reason, however many requests
    for secret in [*planted, issuer.secret.decode()]:
        assert secret not in raw
    header = issuer.token("HS256", honest_claims(time.time())).partition(".")[0]
    assert header not in raw
