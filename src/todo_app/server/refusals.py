"""Refusals by the server itself, below the application: an error of the API as the bytes of an HTTP/1.1 response."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from todo_adapters.http.middleware.edge import request_id_from
from todo_adapters.http.protocol.errors import error_response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from todo_domain import TodoError


def refusal(
    error: TodoError,
    default_headers: Iterable[tuple[bytes, bytes]],
    *,
    request_id: bytes | None = None,
    head: bool = False,
) -> bytes:
    """Return the response with this error and `Connection: close`; to HEAD, without its body.

    `request_id` is the client's own, if it is known.
    """
    own = request_id_from(request_id)
    response = error_response(error, own)
    headers = [
        *((name.title(), value) for name, value in [*default_headers, *response.headers] if name != b"connection"),
        (b"X-Request-ID", own.encode()),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Content-Length", b"%d" % len(response.body)),
        (b"Connection", b"close"),
    ]
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    status = HTTPStatus(response.status)
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, status.phrase.encode(), lines, b"" if head else response.body)
