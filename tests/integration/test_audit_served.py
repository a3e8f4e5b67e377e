"""The audit log of a running service: its whole life, whom it takes a request to be from, and its settings."""

import json
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from httpx import ASGITransport, AsyncClient

from servers.jwks import JwksServer
from servers.todo import Served
from support.command import todo
from support.issuers import Issuer
from support.lifespan import running
from support.recorded_events import RecordedEvents
from todo_app.compose import application
from todo_app.identity import verifier_of
from todo_app.settings import BadSetting, read_settings

SECRET = "known-to-these-tests-alone-0123456789"


def lines_of(path):
    """The lines of an audit log."""
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


@dataclass
class Life:
    """What a service behind a proxy answered, and all that it wrote into its audit log from its start to its stop."""

    peers: dict[tuple[str, ...], str]
    statuses: dict[str, list[int]]
    status: int
    text: str
    mode: int

    @property
    def lines(self):
        return list(map(json.loads, self.text.splitlines()))


FORWARDED = {
    (): "127.0.0.1",
    ("203.0.113.9",): "203.0.113.9",
    ("2001:db8::7",): "2001:db8::7",
    # What stands before the last address that no listed proxy has may be the client's own invention.
    ("10.0.0.1", "203.0.113.10"): "203.0.113.10",
    ("203.0.113.11", "192.0.2.1"): "203.0.113.11",
    ('","event":"forged',): '"event":"forged',
}
"""Addresses in X-Forwarded-For, and the peer that they make."""


def asking(served, token, number, *forwarded):
    """The statuses of so many lists."""
    headers = {"X-Forwarded-For": ", ".join(forwarded)} if forwarded else {}
    return [served.request("GET", "/api/me/tasks", token, headers=headers).status for _ in range(number)]


def peer(served, *forwarded):
    """Send a bad token and return the peer that the audit log names for it."""
    headers = {"X-Forwarded-For": ", ".join(forwarded)} if forwarded else {}
    response = served.request("GET", "/api/me/tasks", "no.real.token", headers=headers)
    assert response.status == 401
    request_id, log = response.headers["x-request-id"], served.directory / "audit.log"
    served.process.wait_until(lambda: request_id in log.read_text(encoding="ascii"))
    (line,) = [line for line in map(json.loads, log.read_text().splitlines()) if line.get("request_id") == request_id]
    return line["peer"]


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    directory = tmp_path_factory.mktemp("life")
    settings = {
        "TODO_AUDIT_LOG": "audit.log",
        "TODO_JWT_SECRET": SECRET,
        "TODO_JWT_ISSUER": "https://issuer.example",
        "TODO_TRUSTED_PROXIES": "127.0.0.0/8 192.0.2.1",
        "TODO_RATE_LIMIT_REFUSED": "60/hour",
        "TODO_RATE_LIMIT_USER": "3/hour",
    }
    ann = jwt.encode({"sub": "ann", "iss": "https://issuer.example", "exp": int(time.time()) + 600}, SECRET, "HS256")
    with Served(directory, **settings) as served:
        peers = {forwarded: peer(served, *forwarded) for forwarded in FORWARDED}
        statuses = {
            "flood": asking(served, "no.real.token", 61, "203.0.113.66"),
            "another": asking(served, "no.real.token", 1, "203.0.113.67"),
            "valid": asking(served, ann, 4, "203.0.113.66"),
        }
    status, log = served.process.stop(signal.SIGTERM), directory / "audit.log"
    return Life(peers, statuses, status, log.read_text(encoding="ascii"), log.stat().st_mode & 0o777)


def test_a_life_from_migration_to_stop_with_every_refusal_counted_and_no_secret_told(life):
    assert life.status in {0, -signal.SIGTERM}
    of_the_flood = [line for line in life.lines if line.get("peer") == "203.0.113.66"]
    refusals = [line for line in of_the_flood if line["event"] == "token_refused"]
    assert sum(line.get("count", 1) for line in refusals) == 60
    assert len(refusals) < 60
    alive = {"migration_applied", "start", "stop"}
    migrated, started, stopped = (line for line in life.lines if line["event"] in alive)
    assert (migrated["event"], started["event"], stopped["event"]) == ("migration_applied", "start", "stop")
    assert migrated["before"] == "base"
    assert started["pid"] == stopped["pid"]
    assert started["identity"] == "1 shared secret(s)"
    assert started["jwt_issuer"] == "https://issuer.example"
    assert SECRET not in life.text
    assert life.mode == 0o600


def test_a_listed_proxy_is_believed_as_far_as_it_can_know(life):
    assert life.peers == FORWARDED


def test_both_limits_are_settings_and_the_one_for_refused_tokens_counts_the_forwarded_address(life):
    assert life.statuses == {"flood": [401] * 60 + [429], "another": [401], "valid": [200, 200, 200, 429]}


def test_a_forwarded_address_from_nobody_listed_is_ignored(tmp_path):
    """Not of this machine's address, which is not listed; test_workers.py lists nobody."""
    proxies = {"TODO_TRUSTED_PROXIES": "192.0.2.0/24 2001:db8::1"}
    with Served(tmp_path, TODO_AUDIT_LOG="audit.log", TODO_JWT_SECRET=SECRET, **proxies) as served:
        assert peer(served, "203.0.113.9") == "127.0.0.1"


@pytest.mark.parametrize("name", ["TODO_RATE_LIMIT_USER", "TODO_RATE_LIMIT_REFUSED"])
@pytest.mark.parametrize("value", ["many", "0/minute", "1/second; 5/minute", "10"])
def test_a_limit_that_is_none_is_said_in_one_sentence(name, value):
    with pytest.raises(BadSetting) as refused:
        read_settings({name: value}, environment={})
    assert str(refused.value) == f"{name} must be a number of requests in a time, like 100/minute, not {value!r}"


@pytest.mark.parametrize(("target", "workers"), [("/nowhere/audit.log", "1"), ("/", "2")])
def test_an_audit_log_that_cannot_be_written_stops_the_start_with_one_sentence(tmp_path, target, workers):
    ran = todo("serve", "--port", "0", "--workers", workers, cwd=tmp_path, TODO_AUDIT_LOG=target)
    assert ran.returncode == 1
    assert ran.stderr.startswith("todo: TODO_AUDIT_LOG must be stderr or a file to append to: ")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_an_audit_log_on_a_full_disk_costs_no_request_and_the_lost_lines_are_counted(tmp_path):
    with Served(tmp_path, TODO_JWT_SECRET=SECRET, TODO_AUDIT_LOG="/dev/full") as served:
        served.may_log_errors = True
        token = served.token("ann")
        assert served.request("POST", "/api/me/tasks", token, {"title": "x"}).status == 201
        assert served.request("GET", "/api/me/tasks", "undefined").status == 401
        assert served.request("GET", "/api/me/tasks", token).status == 200
    assert served.process.stop() == 0
    messages = [json.loads(line)["message"] for line in served.process.stderr.splitlines()]
    assert "the audit log cannot be written for now: No space left on device" in messages
    lost = [int(message.split()[0]) for message in messages if message.endswith("are lost: they could not be written")]
    assert sum(lost) == 4  # migration_applied, start, token_refused, stop


def test_migrating_by_hand_is_told_once(tmp_path):
    for _ in range(2):
        assert todo("migrate", cwd=tmp_path, TODO_AUDIT_LOG="audit.log").returncode == 0
    assert [line["event"] for line in lines_of(tmp_path / "audit.log")] == ["migration_applied"]


async def test_a_changed_key_set_is_told_with_the_number_of_keys():
    recorded = RecordedEvents()
    async with JwksServer(Issuer().jwks()) as server:
        given = {"TODO_JWKS_URL": server.url, "TODO_JWT_ISSUER": "https://issuer.example", "TODO_JWT_AUDIENCE": "todo"}
        await verifier_of(read_settings(given, environment={}), recorded).check()
    assert recorded.events == [{"event": "key_set_changed", "keys": 6}]


async def test_row_level_security_that_is_not_in_force_is_told_at_start_and_by_readiness(postgres_databases):
    recorded = RecordedEvents()
    with postgres_databases.another() as database:
        given = {"TODO_DATABASE_URL": postgres_databases.url(database), "TODO_JWT_SECRET": SECRET}
        settings = read_settings(given, environment={})
        async with running(application(settings, audit=recorded)):
            pass
        assert [event["event"] for event in recorded.events] == ["start", "stop"]
        recorded.events.clear()
        postgres_databases.server.execute("ALTER TABLE tasks DISABLE ROW LEVEL SECURITY", database=database)
        app = application(settings, audit=recorded)
        async with running(app), AsyncClient(transport=ASGITransport(app), base_url="http://todo") as client:
            assert (await client.get("/health/ready")).status_code == 503
    assert [(event["event"], event.get("reason")) for event in recorded.events] == [
        ("start", None),
        ("rls_not_in_force", "start"),
        ("rls_not_in_force", "readiness"),
        ("stop", None),
    ]
    assert postgres_databases.PASSWORD not in str(recorded.events)
