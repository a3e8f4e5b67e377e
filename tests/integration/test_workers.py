"""Two worker processes, one service: one file, one audit log, one set of numbers. One life of it, seen several ways."""

import json
import os
import re
import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from servers.collector import Collector
from servers.todo import Reply, Served, token_for

SECRET = "0123456789abcdef0123456789abcdef"
DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana.json"
LIST = "/api/{user_id}/tasks"
MADE, LISTED, REFUSED = 20, 40, 40


@dataclass
class Life:
    """What a service with two workers did and left, from its start to its stop."""

    made: list[Reply]
    listed: list[Reply]
    metrics: list[str]
    mode: int
    spans_before_the_stop: int
    spans: Collector
    directory: Path

    def audited(self, event: str) -> list[dict]:
        lines = map(json.loads, (self.directory / "audit.log").read_text().splitlines())
        return [line for line in lines if line["event"] == event]


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    directory = tmp_path_factory.mktemp("workers")
    with Collector() as collector:
        settings = {
            "TODO_JWT_SECRET": SECRET,
            "TODO_AUDIT_LOG": "audit.log",
            "TMPDIR": str(directory),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "60000",
        }
        with Served(directory, "--workers", "2", **settings) as served:
            served.process.wait_until(lambda: (directory / "audit.log").read_text().count('"start"') == 2)
            token = token_for("ann", SECRET)
            made = [served.request("POST", "/api/me/tasks", token, {"title": f"{number}"}) for number in range(MADE)]
            listed = []
            for line in (directory / "audit.log").read_text().splitlines():
                if (started := json.loads(line))["event"] == "start":
                    os.kill(started["pid"], signal.SIGSTOP)  # so that the other one serves
                    listed += [served.request("GET", "/api/me/tasks", token) for _ in range(LISTED // 2)]
                    os.kill(started["pid"], signal.SIGCONT)
            forged = {"X-Forwarded-For": "203.0.113.9"}
            for _ in range(REFUSED):
                assert served.request("GET", "/api/me/changes", "no.real.token", headers=forged).status == 401
            metrics = [served.text("/metrics") for _ in range(8)]
            (numbers,) = directory.glob("todo-metrics-*")
            mode = numbers.stat().st_mode & 0o777
            before = len(collector.spans)
            served.process.stop(signal.SIGTERM)
        return Life(made, listed, metrics, mode, before, collector, directory)


def test_they_serve_one_file(life):
    assert [response.status for response in life.made] == [201] * MADE
    for response in life.listed:
        assert [task["id"] for task in response.body] == [response.body["id"] for response in reversed(life.made)]


def test_they_write_one_audit_log_line_by_line(life):
    assert sum(line.get("count", 1) for line in life.audited("token_refused")) == REFUSED
    starts, stops = ({line["pid"] for line in life.audited(event)} for event in ("start", "stop"))
    assert starts == stops
    assert len(starts) == 2


def test_without_a_trusted_proxy_no_forwarded_address_is_believed(life):
    assert {line["peer"] for line in life.audited("token_refused")} == {"127.0.0.1"}


def test_each_tells_the_numbers_of_both(life):
    for text in life.metrics:
        families = list(text_string_to_metric_families(text))
        assert len({family.name for family in families}) == len(families)
        numbers = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }
        assert numbers["todo_http_request_duration_seconds_count", LIST, "200", "GET"] == LISTED
        assert sum(value for (name, *_), value in numbers.items() if name == "todo_workers") == 2
        assert numbers[("todo_http_requests_in_flight",)] <= 2


def test_what_the_dashboard_shows_of_whole_deployments_is_there(life):
    for name in re.findall(r"\b(todo_(?!database)\w+?)(?:_bucket|_count)?\{", DASHBOARD.read_text()):
        assert name in life.metrics[0], name


def test_the_directory_of_their_numbers_is_their_owners_and_gone_when_they_are(life):
    assert life.mode == 0o700
    assert not list(life.directory.glob("todo-metrics-*"))


def test_each_sends_its_spans_the_last_ones_when_it_stops(life):
    assert life.spans_before_the_stop == 0
    assert Counter(span.name for _, span in life.spans.spans)[f"GET {LIST}"] == LISTED
    assert len({resource["service.instance.id"] for resource, _ in life.spans.spans}) == 2
