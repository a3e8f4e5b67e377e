"""What holds of every response, and of what the OpenAPI document says: checked on each one that any test receives."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, NamedTuple

import jsonschema_rs
from client import Client, Response

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
    """A client that holds each response against the contract before it hands it on."""

    def __init__(self, client: Client, *, failures: bool = False) -> None:
        self._client = client
        self._failures = failures

    async def request(self, method: str, target: str | bytes, **how: Any) -> Response:
        response = await self._client.request(method, target, **how)
        path = (target if isinstance(target, str) else target.decode("latin-1")).partition("?")[0]
        sent = [(_text(name).lower(), _text(value).strip(" \t")) for name, value in how.get("headers", ())]
        assert self._failures or response.status < 500, f"{method} {target!r} {how}: {response}"
        try:
            check_promises(method, path, sent, response)
            check_document(method, path, response)
        except AssertionError as error:
            raise AssertionError(f"{method} {target!r}\n{response}\n{error}") from error
        return response


def check_promises(method: str, path: str, sent: list[tuple[str, str]], response: Response) -> None:
    """Assert what docs/api.md promises of every response."""
    request_id = response.header("x-request-id") or ""
    assert _REQUEST_ID.fullmatch(request_id)
    given = [value for name, value in sent if name == "x-request-id"]
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        # A server that refuses a head before its end may not have read the field.
        assert request_id == given[0] or (response.status == 431 and response.header("connection") == "close")
    else:
        assert request_id not in given
    assert response.header("x-content-type-options") == "nosniff"
    if response.status >= 400:
        assert response.header("cache-control") == "no-store"
    elif path.startswith("/api/") and path.endswith("/events") and method != "OPTIONS":
        assert response.header("cache-control") == "no-store, no-transform"
    elif path.startswith("/api/") and path.endswith("/feed") and method != "OPTIONS":
        assert response.header("cache-control") == "no-store"
    elif path.startswith(("/api/", "/feeds/")):
        assert response.header("cache-control") == "private, no-cache"
    assert response.header("cache-control") is not None
    _check_headers_of_status(method, response)
    assert not 300 <= response.status < 400 or response.status == 304 or path == "/", "never a redirect"
    if method == "HEAD" or response.status in {204, 304, 307}:
        assert response.body == b""
    else:
        assert response.header("content-type")
        if response.status >= 400:
            check_error(response, request_id)


def _check_headers_of_status(method: str, response: Response) -> None:
    if response.status == 401:
        assert (response.header("www-authenticate") or "").startswith('Bearer realm="todo"')
    if response.status in {429, 503}:
        assert int(response.header("retry-after") or "") >= 0
    if response.status == 405 or (method == "OPTIONS" and response.status == 204):
        assert "OPTIONS" in (response.header("allow") or "").split(", ")
    if response.status == 415:
        assert (response.header("accept-patch") is not None) == (method == "PATCH")
    if response.status in {204, 304}:
        assert response.header("content-length") is None
        assert response.header("content-type") is None


def check_error(response: Response, request_id: str) -> None:
    """Assert the one shape of errors."""
    error = response.json()
    assert response.status in STATUS_OF[error["code"]]
    assert error["request_id"] == request_id
    assert isinstance(error["error"], str)
    assert 0 < len(error["error"]) <= _LONGEST_SENTENCE
    assert not _LEAKS.search(response.body.decode())
    assert ("fields" in error) == (response.status == 400)
    for problem in error.get("fields", ()):
        assert problem.keys() == {"field", "message"}
        assert len(problem["field"]) <= 200
    # A failure within an atomic batch may be about a task that is not there without it, which is not shown.
    shows = "index" not in error or error.keys() > {"error", "code", "index", "request_id"}
    assert ("current" in error) == (response.status == 412 and shows)
    assert ("deleted" in error) == ("restorable" in error) == (error["code"] == "gone" and shows)
    assert "outcome" not in error or (response.status == 503 and error["outcome"] == "unknown")
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


def check_document(method: str, path: str, response: Response) -> None:
    """Assert that the document describes this response: status, headers and body."""
    if response.status == 405 or method == "OPTIONS":
        return
    operation = operation_of(method, path)
    if operation is None:
        assert response.status in {404, 431}, "a response of a route that the document does not have"
        return
    responses = operation["responses"]
    if response.status == 404 and "404" not in responses:
        raise AssertionError("404 is not documented here")
    assert str(response.status) in responses, f"{response.status} is not documented"
    described = _described(resolved(responses[str(response.status)]))
    for name, value in response.headers:
        if name not in _OF_THE_SERVER:
            assert name in described.headers, f"the header {name} is not documented"
            integer, validator = described.headers[name]
            validator.validate(int(value) if integer else value)
    missing = described.required - {name for name, _ in response.headers}
    assert not missing, f"documented as always there: {missing}"
    if method == "HEAD":
        return
    assert bool(described.content) == bool(response.body)
    if described.content:
        media_type = (response.header("content-type") or "").partition(";")[0]
        assert media_type in described.content
        if media_type == "application/json":
            _assert_valid(response.json(), described.content[media_type])


class _Described(NamedTuple):
    """A response of the document: whether a header is an integer, and the validators of headers and content."""

    headers: dict[str, tuple[bool, Any]]
    required: set[str]
    content: dict[str, Any]


_ALL_DESCRIBED: dict[int, _Described] = {}
"""By the identity of the response in the document, which is read once."""


def _described(response: dict[str, Any]) -> _Described:
    if (found := _ALL_DESCRIBED.get(id(response))) is None:
        headers = {name.lower(): resolved(header) for name, header in response.get("headers", {}).items()}
        found = _ALL_DESCRIBED[id(response)] = _Described(
            {
                name: (header["schema"].get("type") == "integer", _validator(json.dumps(header["schema"])))
                for name, header in headers.items()
            },
            {name for name, header in headers.items() if header.get("required")},
            {
                media_type: _validator(json.dumps(described["schema"])) if media_type == "application/json" else None
                for media_type, described in response.get("content", {}).items()
            },
        )
    return found


def validate(value: Any, schema: dict[str, Any]) -> None:
    """Assert that a value keeps a schema of the document."""
    _assert_valid(value, _validator(json.dumps(schema)))


def _assert_valid(value: Any, validator: Any) -> None:
    if not validator.is_valid(value):
        raise AssertionError([f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)])


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
