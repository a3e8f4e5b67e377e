"""Ten times the load that the service is busiest with: it goes on at its pace, stays ready, and recovers at once.

Two hundred connections that create without a pause give the peak, two thousand the overload: half as long in the short
form as in the long one. `pytest -s` shows the figures.
"""

import asyncio
import time
from collections import Counter
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from servers import wrk
from servers.todo import Served, token_for
from servers.wrk import Wrk
from support.leaving import in_flight
from support.length import LONG

SECRET = "0123456789abcdef0123456789abcdef"
SECONDS = 2 if LONG else 1


class Load(NamedTuple):
    """What came of it: responses a second, good ones for each second of the service's processor time, and the longest
    that readiness took meanwhile, in seconds.
    """

    good: float
    refused: float
    thrift: float
    ready: float


@pytest.fixture(params=["sqlite", "postgres"])
def served(request, tmp_path):
    wrk.require()
    url = "sqlite:///todo.db"
    if request.param == "postgres":
        databases, name = (request.getfixturevalue(fixture) for fixture in ("postgres_databases", "postgres_database"))
        url = databases.url(name)
    settings = {"TODO_MAX_TASKS_PER_USER": "1000000", "TODO_AUDIT_LOG": "audit.log"}
    with Served(tmp_path, TODO_DATABASE_URL=url, TODO_JWT_SECRET=SECRET, **settings) as served:
        yield served


def busy(served, connections, seconds, message):
    """The load generator, running: this many connections, each of which asks the same, again and again."""
    file = served.directory / "requests"
    file.write_bytes(wrk.encoded([message]))
    return Wrk(served.port, file, connections=connections, seconds=seconds)


def load(served, token, connections, seconds):
    ready, worked = 0.0, numbers(served, "process_cpu_seconds_total")[None]
    create = wrk.message("POST", "/api/me/tasks", token, '{"title":"x"}')
    with busy(served, connections, seconds, create) as process:
        while process.running:
            asked = time.monotonic()
            assert served.request("GET", "/health/ready", "").status == 200
            ready = max(ready, time.monotonic() - asked)
            time.sleep(0.2)
        outcome = process.outcome()
    assert outcome.broken == 0
    worked = numbers(served, "process_cpu_seconds_total")[None] - worked
    good = outcome.requests - outcome.refused
    return Load(good / outcome.seconds, outcome.refused / outcome.seconds, good / worked, ready)


def recovery(served, token):
    """Seconds until ten requests in a row, one after the other, are each answered within 100 ms."""
    begun = time.monotonic()
    quick = 0
    while quick < 10:
        asked = time.monotonic()
        assert served.request("GET", "/api/me/tasks?limit=1", token).status in {200, 503}
        quick = quick + 1 if time.monotonic() - asked < 0.1 else 0
        assert time.monotonic() < begun + 30
    return time.monotonic() - begun


def numbers(served, name, label=None):
    """The numbers of this name by that label, added up."""
    counted = Counter()
    for family in text_string_to_metric_families(served.text("/metrics")):
        for sample in family.samples:
            if sample.name == name and sample.labels.get("method") in {None, "POST"}:
                counted[sample.labels.get(label)] += sample.value
    return counted


@pytest.mark.long
def test_at_ten_times_the_load_most_of_the_peak_is_still_done_and_it_recovers_in_seconds(served):
    token = token_for("ann", SECRET)
    load(served, token, 200, 1)
    tries = []
    for _ in range(3):  # the best of them, because others use this machine too
        before, beyond = load(served, token, 200, SECONDS), load(served, token, 2_000, 2 * SECONDS)
        recovered = recovery(served, token)
        after = load(served, token, 200, SECONDS)
        peak, thrift = max(before.good, after.good), max(before.thrift, after.thrift)
        print(  # noqa: T201  the figures, for -s
            f"peak {peak:.0f}/s, {thrift:.0f} a second of processor time; ten times the load: "
            f"{beyond.good:.0f}/s good, {beyond.thrift:.0f} a second of processor time, "
            f"{beyond.refused:.0f}/s refused, ready within {beyond.ready:.1f} s; recovered after {recovered:.1f} s"
        )
        # What others use of the processors is missing from the first figure and not from the second.
        kept = max(beyond.good / peak, beyond.thrift / thrift)
        tries.append((kept, recovered, beyond.ready))
        if kept > 0.8 and recovered < 5 and beyond.ready < 3:
            break
    else:
        pytest.fail(f"goodput over peak, seconds to recover, seconds of readiness: {tries}")
    # A 400 is a body that was cut off: wrk leaves without waiting for its last responses.
    assert set(numbers(served, "todo_http_request_duration_seconds_count", "status")) <= {"201", "400", "503"}


async def newcomers(served):
    """Seconds until each of a hundred who come at once has been told that the service is alive."""

    async def come():
        begun = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
        return time.monotonic() - begun

    return await asyncio.gather(*[come() for _ in range(100)])


@pytest.mark.parametrize("served", ["sqlite"], indirect=True)
def test_newcomers_are_met_however_busy_the_connections_are_that_are_there(served):
    """uvloop alone takes one each time it has been through all the others: the last of a hundred waits for seconds."""
    request = wrk.message("GET", "/api/me/tasks", token_for("ann", SECRET))
    with busy(served, 2_500, 5 * SECONDS, request) as process:
        served.process.wait_until(lambda: in_flight(served) > 100)
        waited = asyncio.run(newcomers(served))
        assert process.running
    print(f"the first of a hundred newcomers waits {min(waited):.1f} s, the last {max(waited):.1f} s")  # noqa: T201  the figures, for -s
    assert max(waited) < 2
