"""Message framing (RFC 9112): finds the end of each request, and bounds its bytes beside content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from todo_adapters.http.middleware.edge import HEADER_SECTION_LIMIT
from todo_app.server.malformed import CODINGS
from todo_domain import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMIT: Final = HEADER_SECTION_LIMIT
"""The most bytes of a request target; of a header section, each field with its colon, space and line end; and of the
framing of a chunked body (sizes, extensions, the trailer section) beyond the allowance for its content."""

PIECE: Final = 16_384
"""The most bytes that the parser gets in one call."""

_REQUEST_LINE: Final = 64
"""Bytes of the longest request line beside its target, and of the empty line that ends a header section."""

_FRAMING_FOR_CONTENT: Final = 16
"""Bytes of framing allowed for each byte of a chunked body: more than chunks of one byte need."""

FRAMING: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})
"""The header fields that `body_length` reads."""

_END: Final = b"\r\n\r\n"


class Framing:
    """Where the messages of one connection may end, and how many bytes beside content the parser has read.

    The parser reports no positions, buffers a header section until it is complete, and skips some bytes silently.
    Therefore it gets pieces. A message can only end at the end of a piece, where the caller can stop; `excess` counts
    the bytes that the parser may have buffered or skipped. The parser alone interprets the bytes: a wrong cut would
    only stop it early or late.
    """

    __slots__ = ("_left", "_tail", "excess", "in_head")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a message, whose head is next."""
        self.in_head = True
        self.excess = 0
        self._left: int | None = None
        self._tail = b""

    @property
    def section_ended(self) -> bool:
        """Whether the last piece ended with an empty line."""
        return not self._tail

    def skip(self, size: int) -> None:
        """Count bytes of a head that the parser does not get."""
        self.excess += size

    def head_ended(self, length: int | None) -> None:
        """Begin a body of `length` bytes, or a chunked one if `length` is None."""
        self.in_head = False
        self.excess = 0
        self._left = length
        self._tail = b""

    def content(self, size: int) -> None:
        """Count content that the parser has reported."""
        if self._left is None:
            self.excess = max(0, self.excess - (1 + _FRAMING_FOR_CONTENT) * size)

    def next_piece(self, data: bytes, at: int) -> int:
        """Return the end of the piece that begins at `at`, and count its bytes."""
        most = min(len(data), at + PIECE)
        if self._left is not None:
            end = min(most, at + self._left)
            self._left -= end - at
            return end
        end = self._end_of_section(data, at, most)
        self.excess += end - at
        return end

    def exceeded(self, target: int) -> bool:
        """Return whether there are too many bytes beside content; a head may have `target` bytes more."""
        return self.excess > (LIMIT + _REQUEST_LINE + target if self.in_head else LIMIT)

    def _end_of_section(self, data: bytes, at: int, most: int) -> int:
        """Return the end of the next empty line, where heads and chunked bodies end; `most` if there is none."""
        if self._tail:
            for known in (3, 2, 1):
                if self._tail.endswith(_END[:known]) and data.startswith(_END[known:], at):
                    self._tail = b""
                    return at + len(_END) - known
        found = data.find(_END, at, most)
        if found >= 0:
            self._tail = b""
            return found + len(_END)
        self._tail = (self._tail + data[max(at, most - 3) : most])[-3:]
        return most


def body_length(version: str, fields: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return how many bytes of body follow a head with these fields, None if the body is chunked.

    Names are in lower case, and those outside FRAMING may be left out. The parser has refused repeated lengths and
    those that are not numbers. Raises Invalid where RFC 9112 requires a refusal: sections 2.3 (version), 3.2 (Host),
    6.1 (transfer codings).
    """
    if version not in {"1.1", "1.0"}:
        raise Invalid("request", "must be HTTP/1.1 or HTTP/1.0")
    hosts = length = 0
    chunked = False
    for name, value in fields:
        if name == b"host":
            hosts += 1
        elif name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            if chunked or value.strip().lower() != b"chunked" or version == "1.0":
                raise Invalid(*CODINGS)
            chunked = True
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise Invalid("Host", "must be sent once")
    return None if chunked else length
