"""The rest of a head that is too long: not kept, but searched for the origin of a page that may read the refusal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

REST_OF_HEAD: Final = 0.5
"""Seconds that such a head has to end. Browsers send it at once, with the origin near its end."""

_END: Final = b"\r\n\r\n"
_ORIGIN: Final = re.compile(rb"\r\norigin:[ \t]*([!-~]{1,255})[ \t]*\r\n", re.IGNORECASE)
_KEPT: Final = 512
"""Bytes of the end of what has been searched, so that a field is found that comes in two packets."""


class LongHead:
    """A head that nobody parses any more. `origin` is the value of its `Origin`, as far as it is known."""

    __slots__ = ("_kept", "origin")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.origin = next((value for name, value in headers if name == b"origin"), None)
        self._kept = b""

    def ends_in(self, data: bytes) -> bool:
        """Search what has arrived, and tell whether the head ends in it."""
        text, end, _ = (self._kept + data).partition(_END)
        if self.origin is None and (found := _ORIGIN.search(text + end)):
            self.origin = found[1]
        self._kept = text[-_KEPT:]
        return bool(end)
