"""Refusals by the server itself, below the application: an error of the API as the bytes of an HTTP/1.1 answer."""

from __future__ import annotations

from http import HTTPStatus
from os import urandom
from typing import TYPE_CHECKING

from todo_adapters.http.protocol.errors import error_answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from todo_domain import TodoError


def refusal(error: TodoError, default_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the answer with this error, a new request id and `Connection: close`."""
    request_id = urandom(12).hex()
    answer = error_answer(error, request_id)
    headers = [
        *((name.title(), value) for name, value in [*default_headers, *answer.headers] if name != b"connection"),
        (b"X-Request-ID", request_id.encode()),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Content-Length", b"%d" % len(answer.body)),
        (b"Connection", b"close"),
    ]
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    status = HTTPStatus(answer.status)
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, status.phrase.encode(), lines, answer.body)
