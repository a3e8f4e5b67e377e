"""The method of a request: any token can be one (RFC 9110, section 9.1), and the parser knows a fixed list."""

from __future__ import annotations

import re
from typing import Final

from todo_domain import Invalid

KNOWN: Final = (b"GET ", b"POST ", b"PATCH ", b"PUT ", b"DELETE ", b"HEAD ", b"OPTIONS ")
"""The beginnings of most requests, with methods that the parser knows."""

STAND_IN: Final = b"TRACE"
"""The method that the parser gets in place of another one; it means nothing to the parser."""

LONGEST: Final = 64
"""The most bytes of a method."""

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*")


def method_at(data: bytes, at: int) -> bytes | None:
    """Return the method at `at`; None if its end has not arrived. Raises Invalid if it cannot be served."""
    text, space, _ = data[at : at + LONGEST + 1].partition(b" ")
    if not _TOKEN.fullmatch(text) or len(text) > LONGEST or (space and not text):
        raise Invalid("method", f"must be a token of at most {LONGEST} characters, with a space after it")
    if text == b"CONNECT":
        raise Invalid("method", "must not be CONNECT: this server is not a proxy")
    return text if space else None
