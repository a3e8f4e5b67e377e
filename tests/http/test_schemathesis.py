"""A property-based run of the OpenAPI document against the service: each of Schemathesis's phases finds nothing.

All of its checks are on. What a JSON schema cannot say and the document says in words, `keep_the_words` sees to in
requests that are meant to be good; what depends on the state of the account is a response that such a request may get.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
import schemathesis
from apis import Api, Serve
from client import InProcess
from schemathesis.engine import Status, events, from_schema

from support.length import LONG
from todo_domain.text import fold

STATES = ["404", "409", "410", "412", "422"]
"""What a good request may get because of what is there: no such task, quota, sync token, If-Match, a used key."""

REFUSALS = ["400", "401", "403", "404", "405", "406", "409", "415", "422", "428", "429", "5xx", "207"]
"""What a bad request may get: those that Schemathesis expects, and the 207 of a batch in which one task is bad."""

PHASES = {"examples": (1, 1), "coverage": (1, 2), "fuzzing": (12, 1), "stateful": (10, 1)}
"""Each phase of Schemathesis: how many examples of each operation it may make, and after how many seconds it has made
enough if it has made ENOUGH; on a busy machine it goes on until then, for LONGEST seconds at most."""

ENOUGH = 20
LONGEST = 120
CHECKS = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
    "object_level_authorization",
}

if LONG:
    PHASES |= {"coverage": (1, LONGEST), "fuzzing": (100_000, 300), "stateful": (100_000, 300)}


@schemathesis.hook("before_call")
def keep_the_words(context: Any, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:  # noqa: ARG001  the shape of a hook
    """Make a request that is meant to be good keep the rules that are in the descriptions, not in the schemas."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    for name in ("If-Match", "If-None-Match"):
        if (case.headers or {}).get(name) == "0":
            case.headers[name] = '"0"'  # the coverage phase fills in 0, whatever the pattern is
    if case.query:
        _mend_query(case.query)
        if "confirm" in case.query:
            case.query["confirm"] = case.path_parameters["user_id"]
    if isinstance(case.body, dict) and "operations" in case.body:
        for operation in case.body["operations"]:
            _mend_operation(operation)
    elif isinstance(case.body, dict) and "format" in case.body:
        _mend_file(case.body)
    elif isinstance(case.body, dict):
        _mend_body(case.body, put=case.method == "PUT")


def _mend_file(file: dict[str, Any]) -> None:
    if isinstance(file.get("revision"), float):
        file["revision"] = int(file["revision"])  # a JSON schema takes 1.0 for an integer


def _mend_operation(operation: dict[str, Any]) -> None:
    for name in operation.keys() & {"key", "if_match"}:
        if isinstance(operation[name], float):
            operation[name] = int(operation[name])  # a JSON schema takes 1.0 for an integer
    if isinstance(operation.get("task"), dict):
        _mend_body(operation["task"], put=operation["op"] == "put")


def _mend_query(query: dict[str, Any]) -> None:
    query.pop("cursor", None)  # is made by the service
    if "status" in query:
        query.pop("completed", None)  # must not contradict it
    query.pop("wait", None)  # needs `since`, and would spend the run waiting
    if "tag" in query:
        query["tag"] = ["a" + tag[1:] for tag in query["tag"]]  # has a visible character


def _mend_body(body: dict[str, Any], *, put: bool) -> None:
    for name in ("id", "uid", "user_id", "revision"):
        body.pop(name, None)  # must be the task's own
    if put and body.get("status") is not None:
        body.pop("completed", None)  # may contradict it only beside the current revision
    if "title" in body:
        body["title"] = "a" + body["title"][1:]  # has a visible character
    if body.get("extra"):
        body["extra"] = {"a": [1, {"b": None}]}  # has its limits in words
    if body.get("tags") is not None:
        tags = ["a" + tag[1:] for tag in body["tags"]]
        body["tags"] = list({fold(tag.strip()): tag for tag in tags}.values())  # distinct, ignoring case


def schema_of(api: Api, phase: str, config: schemathesis.Config) -> Any:
    """Return the operations that a phase tries, all but a few of those in the document."""
    if isinstance(api.bare, InProcess):
        schema = schemathesis.openapi.from_asgi("/openapi.json", api.bare.app, config=config)
    else:
        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{api.bare.port}/openapi.json", config=config)
    schema = schema.exclude(operation_id="stream_events")  # never ends: see test_events_served.py
    if phase == "coverage" and not LONG:
        # Its cases alone take longer than all others together, which then had no turn; the other phases have it.
        schema = schema.exclude(path_regex="/batch$")
    return schema


def findings(api: Api, phase: str) -> tuple[list[str], Counter[str]]:
    """Run one phase against a fresh service; return what it found, and how often each check was made."""
    found: dict[tuple[str, ...], str] = {}
    made: Counter[str] = Counter()
    examples, seconds = PHASES[phase]
    ann = api.user()
    config = schemathesis.Config.from_dict(
        {
            "headers": {"Authorization": f"Bearer {ann.token}"},
            "parameters": {"path.user_id": ann.id},
            "continue-on-failure": True,
            "checks": {
                "positive_data_acceptance": {"expected-statuses": ["2xx", "304", "307", *STATES]},
                "negative_data_rejection": {"expected-statuses": REFUSALS},
            },
            "generation": {"database": "none", "max-examples": examples, "no-shrink": True},
            "phases": {name: {"enabled": name == phase} for name in PHASES},
        }
    )
    schema = schema_of(api, phase, config)
    schema.config.max_time = max(seconds, LONGEST)
    stream, started = from_schema(schema).execute(), time.monotonic()
    for event in stream:
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.NonFatalError):
            found[str(event.label), "error"] = str(event.value)
        if isinstance(event, events.ScenarioFinished):
            for results in event.recorder.checks.values():
                for check in results:
                    made[check.name] += 1
                    if check.status is Status.FAILURE:
                        failure = check.failure_info
                        label = (str(event.label), check.name, failure.failure.title)
                        found[label] = f"{failure.failure.message}\n{failure.code_sample}"
            enough = made["response_schema_conformance"] > ENOUGH and made.keys() >= CHECKS
            if enough and time.monotonic() - started > seconds:
                stream.stop()
    return [f"{' '.join(label)}\n{what}" for label, what in found.items()], made


@pytest.mark.parametrize("phase", PHASES)
def test_a_property_based_run_of_the_document_finds_nothing(serve: Serve, phase: str):
    with serve() as api:
        found, made = findings(api, phase)
    assert not found, "\n\n".join(found)
    assert made["response_schema_conformance"] > ENOUGH
    assert made.keys() >= CHECKS
