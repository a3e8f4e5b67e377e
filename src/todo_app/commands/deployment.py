"""A client of a running deployment: the operations of its OpenAPI document, and requests to it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx

from todo_adapters.http.openapi import openapi_json

PREFIX: Final = "/api/{user_id}"
"""The template that all paths of a user begin with."""

TIMEOUT: Final = 15.0
"""Seconds for one request; a deployment answers within 3."""

_METHODS: Final = ("get", "head", "post", "put", "patch", "delete")
_TRIES: Final = 4
_LONGEST_PAUSE: Final = 5.0


class CannotAsk(Exception):
    """A deployment cannot be tested; `str()` is one sentence that says why."""


@dataclass(frozen=True)
class HttpOperation:
    """An operation of the document: a method and a path template, which is PREFIX or begins with it."""

    method: str
    template: str
    streams: bool = False

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.template}"

    @property
    def on_task(self) -> bool:
        """Whether the path names a task."""
        return "{" in self.template.removeprefix(PREFIX)

    @property
    def on_user(self) -> bool:
        """Whether it writes to all data of a user, which would be lost if the deployment does not refuse it."""
        writes = self.method not in {"get", "head"}
        return writes and not self.on_task and not self.template.endswith(("/tasks", "/batch"))

    def path(self, user: str, task: int) -> str:
        """Return the path for this user (a path segment) and task."""
        head, *rest = self.template.replace("{user_id}", user, 1).split("/{")
        path = head + "".join(f"/{task}{part.partition('}')[2]}" for part in rest)
        return f"{path}?confirm={user}" if (self.method, self.template) == ("delete", PREFIX) else path


class Deployment:
    """Requests to the deployment behind `client`, counted in `requests`."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.requests = 0

    def operations(self) -> list[HttpOperation]:
        """Return the operations on a user's path, from the deployment's document, else from this release's."""
        response = self.send("get", "/openapi.json")
        if response.status_code == 404:
            print(
                "note  attack: the deployment has no OpenAPI document (TODO_DOCS=off); the one of this release is used"
            )
            document = json.loads(openapi_json())
        else:
            document = members(response)
        found = list(_operations(document))
        if not found:
            raise CannotAsk(f"its OpenAPI document has no operation below {PREFIX}: is this the service's address?")
        return found

    def send(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: object = None,
        *,
        streams: bool = False,
        patient: bool = True,
    ) -> httpx.Response:
        """Send one request, or raise CannotAsk. The body of a response that `streams` is not read.

        With `patient`, a request that gets 429 or 503 is repeated a few times, after its `Retry-After`.
        """
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        request = self._client.build_request(method.upper(), path, headers=headers, json=body)
        response = self._once(request, streams=streams)
        for _ in range(_TRIES - 1 if patient else 0):
            if response.status_code not in {429, 503}:
                break
            wait = response.headers.get("Retry-After", "1")
            time.sleep(min(float(wait) if wait.isdecimal() else 1.0, _LONGEST_PAUSE))
            response = self._once(request, streams=streams)
        return response

    def _once(self, request: httpx.Request, *, streams: bool) -> httpx.Response:
        self.requests += 1
        try:
            response = self._client.send(request, stream=True)
            try:
                if streams and response.is_success:  # the stream does not end
                    return httpx.Response(response.status_code, headers=response.headers, content=b"")
                response.read()
            finally:
                response.close()
        except httpx.HTTPError as problem:
            raise CannotAsk(f"{request.method} {request.url.path} got no response: {type(problem).__name__}") from None
        return response


def members(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a successful response, or raise CannotAsk."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not response.is_success or not isinstance(body, dict):
        raise CannotAsk(f"{response.request.method} {response.request.url.path} was answered {said(response)}")
    return body


def said(response: httpx.Response) -> str:
    """Return the status of a response, with its sentence if it is an error of the API."""
    try:
        return f"{response.status_code} {response.json()['error']!r}"
    except (ValueError, KeyError, TypeError):
        return str(response.status_code)


def _operations(document: dict[str, Any]) -> Iterator[HttpOperation]:
    for template, item in document.get("paths", {}).items():
        if template != PREFIX and not template.startswith(f"{PREFIX}/"):
            continue
        for method in _METHODS:
            if method in item:
                responses = item[method].get("responses", {}).values()
                streams = any("text/event-stream" in response.get("content", {}) for response in responses)
                yield HttpOperation(method, template, streams)
