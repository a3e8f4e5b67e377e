"""The client's error for bytes that the parser refuses: each kind of fault has its own sentence."""

from __future__ import annotations

from typing import Final

import httptools

from todo_domain import Invalid, TodoError

CODINGS: Final = ("Transfer-Encoding", "must be chunked, once, and in HTTP/1.1")
"""The fields of the error of a transfer coding that is not served."""

_TARGET: Final = ("request target", "must begin with a slash and be percent-encoded ASCII, such as /?q=caf%C3%A9")
_LINE: Final = ("request line", "must be a method, a target without spaces and HTTP/1.1, with CRLF at its end")
_HEADERS: Final = ("headers", "must each be a name, a colon and a value in one line, with CRLF at its end")
_UNKNOWN: Final = ("request", "must be HTTP/1.1")

_REASONS: Final = {
    "present with": ("Content-Length", "must not be sent together with Transfer-Encoding"),
    "content-length": ("Content-Length", "must be one decimal number, sent once"),
    "transfer-encoding": CODINGS,
    "chunk": ("body", "must be in chunks as RFC 9112, section 7.1, defines them"),
    "header": _HEADERS,
    "after start line": _HEADERS,
    "version": _LINE,
    "expected http/": _LINE,
}
"""Words of the parser's reasons in lower case, with the fields of the client's error; the first that occur count."""


def reason(problem: httptools.HttpParserError) -> TodoError:
    """Return the client's error that stopped the parser; raise any other."""
    cause = problem.__context__ or problem  # raised by one of our callbacks
    if isinstance(cause, TodoError):
        return cause
    if isinstance(cause, httptools.HttpParserInvalidURLError):
        return Invalid(*_TARGET)
    if isinstance(cause, httptools.HttpParserError):
        return Invalid(*next((fields for words, fields in _REASONS.items() if words in str(cause).lower()), _UNKNOWN))
    raise cause
