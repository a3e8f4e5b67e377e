"""What holds of every answer, and of what the OpenAPI document says: checked on each one that any test receives."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import jsonschema_rs
from client import Answer, Client

from todo_adapters.http.openapi import document

STATUS_OF = {
    "invalid": {400},
    "unauthenticated": {401},
    "forbidden": {403},
    "not_found": {404},
    "method_not_allowed": {405},
    "quota": {409},
    "resync": {410},
    "gone": {410},
    "stale": {412},
    "exists": {412},
    "too_large": {413, 431},
    "unsupported_media_type": {415},
    "idempotency_mismatch": {422},
    "rate_limited": {429},
    "internal": {500},
    "unavailable": {503},
}
"""The table of docs/api.md, Errors, typed once more on purpose."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LEAKS = re.compile(
    r"SELECT |INSERT |Traceback|msgspec|litestar|sqlite|psycopg|sqlalchemy|\.py\b|object at 0x", re.IGNORECASE
)
_OF_THE_SERVER = {"content-length", "content-type", "transfer-encoding", "connection", "date", "server"}
_LONGEST_SENTENCE = 400


class Conforming:
    """A client that holds each answer against the contract before it hands it on."""

    def __init__(self, client: Client, *, failures: bool = False) -> None:
        self._client = client
        self._failures = failures

    async def request(self, method: str, target: str | bytes, **how: Any) -> Answer:
        answer = await self._client.request(method, target, **how)
        path = (target if isinstance(target, str) else target.decode("latin-1")).partition("?")[0]
        sent = [(_text(name).lower(), _text(value).strip(" \t")) for name, value in how.get("headers", ())]
        assert self._failures or answer.status < 500, f"{method} {target!r} {how}: {answer}"
        try:
            check_promises(method, path, sent, answer)
            check_document(method, path, answer)
        except AssertionError as error:
            raise AssertionError(f"{method} {target!r}\n{answer}\n{error}") from error
        return answer


def check_promises(method: str, path: str, sent: list[tuple[str, str]], answer: Answer) -> None:
    """Assert what docs/api.md promises of every answer."""
    request_id = answer.header("x-request-id") or ""
    assert _REQUEST_ID.fullmatch(request_id)
    given = [value for name, value in sent if name == "x-request-id"]
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        # A server that refuses a head before its end may not have read the field.
        assert request_id == given[0] or (answer.status == 431 and answer.header("connection") == "close")
    else:
        assert request_id not in given
    assert answer.header("x-content-type-options") == "nosniff"
    if answer.status >= 400:
        assert answer.header("cache-control") == "no-store"
    elif path.startswith("/api/") and path.endswith("/events") and method != "OPTIONS":
        assert answer.header("cache-control") == "no-store, no-transform"
    elif path.startswith("/api/") and path.endswith("/feed") and method != "OPTIONS":
        assert answer.header("cache-control") == "no-store"
    elif path.startswith(("/api/", "/feeds/")):
        assert answer.header("cache-control") == "private, no-cache"
    assert answer.header("cache-control") is not None
    _check_headers_of_status(method, answer)
    assert not 300 <= answer.status < 400 or answer.status == 304 or path == "/", "never a redirect"
    if method == "HEAD" or answer.status in {204, 304, 307}:
        assert answer.body == b""
    else:
        assert answer.header("content-type")
        if answer.status >= 400:
            check_error(answer, request_id)


def _check_headers_of_status(method: str, answer: Answer) -> None:
    if answer.status == 401:
        assert (answer.header("www-authenticate") or "").startswith('Bearer realm="todo"')
    if answer.status in {429, 503}:
        assert int(answer.header("retry-after") or "") >= 0
    if answer.status == 405 or (method == "OPTIONS" and answer.status == 204):
        assert "OPTIONS" in (answer.header("allow") or "").split(", ")
    if answer.status == 415:
        assert (answer.header("accept-patch") is not None) == (method == "PATCH")
    if answer.status in {204, 304}:
        assert answer.header("content-length") is None
        assert answer.header("content-type") is None


def check_error(answer: Answer, request_id: str) -> None:
    """Assert the one shape of errors."""
    error = answer.json()
    assert answer.status in STATUS_OF[error["code"]]
    assert error["request_id"] == request_id
    assert isinstance(error["error"], str)
    assert 0 < len(error["error"]) <= _LONGEST_SENTENCE
    assert not _LEAKS.search(answer.body.decode())
    assert ("fields" in error) == (answer.status == 400)
    for problem in error.get("fields", ()):
        assert problem.keys() == {"field", "message"}
        assert len(problem["field"]) <= 200
    # A failure within an atomic batch may be about a task that is not there without it, which is not shown.
    shows = "index" not in error or error.keys() > {"error", "code", "index", "request_id"}
    assert ("current" in error) == (answer.status == 412 and shows)
    assert ("deleted" in error) == ("restorable" in error) == (error["code"] == "gone" and shows)
    assert "outcome" not in error or (answer.status == 503 and error["outcome"] == "unknown")
    assert error.keys() <= {
        "error",
        "code",
        "fields",
        "current",
        "deleted",
        "restorable",
        "outcome",
        "index",
        "request_id",
    }


def check_document(method: str, path: str, answer: Answer) -> None:
    """Assert that the document describes this answer: status, headers and body."""
    if answer.status == 405 or method == "OPTIONS":
        return
    operation = operation_of(method, path)
    if operation is None:
        assert answer.status in {404, 431}, "an answer of a route that the document does not have"
        return
    responses = operation["responses"]
    if answer.status == 404 and "404" not in responses:
        raise AssertionError("404 is not documented here")
    assert str(answer.status) in responses, f"{answer.status} is not documented"
    response = resolved(responses[str(answer.status)])
    documented = {name.lower(): resolved(header) for name, header in response.get("headers", {}).items()}
    for name, value in answer.headers:
        if name not in _OF_THE_SERVER:
            assert name in documented, f"the header {name} is not documented"
            schema = documented[name]["schema"]
            _validator(json.dumps(schema)).validate(int(value) if schema.get("type") == "integer" else value)
    missing = {name for name, header in documented.items() if header.get("required")} - {
        name for name, _ in answer.headers
    }
    assert not missing, f"documented as always there: {missing}"
    if method == "HEAD":
        return
    content = response.get("content", {})
    assert bool(content) == bool(answer.body)
    if content:
        media_type = (answer.header("content-type") or "").partition(";")[0]
        assert media_type in content
        if media_type == "application/json":
            validate(answer.json(), content[media_type]["schema"])


def validate(value: Any, schema: dict[str, Any]) -> None:
    """Assert that a value keeps a schema of the document."""
    errors = [f"{error.instance_path}: {error.message}" for error in _validator(json.dumps(schema)).iter_errors(value)]
    assert not errors, errors


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference within the document."""
    if "$ref" not in part:
        return part
    found: Any = _document()
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return resolved(found)


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """Return the documented operation that a request is for; HEAD is GET."""
    for template, pattern in _patterns():
        if pattern.fullmatch(path):
            return _document()["paths"][template].get("get" if method == "HEAD" else method.lower())
    return None


@cache
def _document() -> dict[str, Any]:
    return json.loads(json.dumps(document()))


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    # A segment that is . or .. is no user: such a path does not exist.
    segment = r"(?!(?:\\.|%2[eE]){1,2}(?:/|$))[^/]+"
    return [(path, re.compile(re.sub(r"\{\w+\}", segment, path.replace(".", r"\.")))) for path in _document()["paths"]]


@cache
def _validator(schema: str) -> Any:
    whole = {"components": _document()["components"], "allOf": [json.loads(schema)]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")
