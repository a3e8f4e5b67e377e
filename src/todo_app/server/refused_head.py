"""The rest of a refused head: it is searched for the page's origin, which the refusal's CORS headers need."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

REST_OF_HEAD: Final = 0.5
"""Seconds within which the head must end. Browsers send a head at once, with the origin near its end."""

_END: Final = b"\r\n\r\n"
_ORIGIN: Final = re.compile(rb"\r\norigin:[ \t]*([!-~]{1,255})[ \t]*\r\n", re.IGNORECASE)
_KEPT: Final = 512
"""Bytes kept from the end of the searched part, so that a field that comes in two packets is found."""


class RefusedHead:
    """A head that is no longer parsed. `origin` is the value of its `Origin`, None until that is found."""

    __slots__ = ("_kept", "origin")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.origin = next((value for name, value in headers if name == b"origin"), None)
        self._kept = b""

    def ends_in(self, data: bytes) -> bool:
        """Search the bytes that arrived; return whether the head ends in them."""
        text, end, _ = (self._kept + data).partition(_END)
        if self.origin is None and (found := _ORIGIN.search(text + end)):
            self.origin = found[1]
        self._kept = text[-_KEPT:]
        return bool(end)
