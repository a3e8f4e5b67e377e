"""Message framing (RFC 9112): where the requests of a connection end, and how many bytes of them may be no content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from todo_domain import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMIT: Final = 16_384
"""Bytes of a request target; of a header section, each field with its colon, space and line end; and of all that is
neither content nor paid for by it in a chunked body: extensions, sizes, the trailer section."""

PIECE: Final = 16_384
"""Bytes that the parser is given at once, at most."""

_REQUEST_LINE: Final = 64
"""Bytes of the longest request line beside its target, and of the empty line that ends a header section."""

_FRAMING_FOR_CONTENT: Final = 16
"""Bytes of framing that each byte of a chunked body may bring along: as much as chunks of one byte need, and more."""

FRAMING: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})
"""The header fields that `body_length` looks at."""

_END: Final = b"\r\n\r\n"


class Framing:
    """Where the messages of one connection may end, and what the parser has taken in that is no content.

    The parser reports no positions, keeps a header section until it is complete, and skips some bytes without a word.
    So it is given pieces. A message ends, if at all, at the end of a piece, where the caller can stop; and `excess`
    counts what the parser may have kept or skipped. The parser alone decides what the bytes mean: a wrong cut would
    only stop it early or late.
    """

    __slots__ = ("_left", "_tail", "excess", "in_head")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a message: its head is next."""
        self.in_head = True
        self.excess = 0
        self._left: int | None = None
        self._tail = b""

    def head_ended(self, length: int | None) -> None:
        """Go on to a body of `length` bytes, of chunks if that is None."""
        self.in_head = False
        self.excess = 0
        self._left = length
        self._tail = b""

    def content(self, size: int) -> None:
        """Count content that the parser has found in the piece."""
        if self._left is None:
            self.excess = max(0, self.excess - (1 + _FRAMING_FOR_CONTENT) * size)

    def next_piece(self, data: bytes, at: int) -> int:
        """Return where the piece ends that begins at `at`, and count it."""
        most = min(len(data), at + PIECE)
        if self._left is not None:
            end = min(most, at + self._left)
            self._left -= end - at
            return end
        end = self._end_of_section(data, at, most)
        self.excess += end - at
        return end

    def exceeded(self, target: int) -> bool:
        """Tell whether there is too much that is no content; in a head, beside the `target` of that many bytes."""
        return self.excess > (LIMIT + _REQUEST_LINE + target if self.in_head else LIMIT)

    def _end_of_section(self, data: bytes, at: int, most: int) -> int:
        """Return where the next empty line ends, which is where heads and chunked bodies end; `most` without one."""
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
    """Return how many bytes of body follow a head with these fields, None if the body comes in chunks.

    Names are in lower case, and those outside FRAMING may be left out. The parser has refused lengths that are no
    numbers, and two of them. Raises Invalid where RFC 9112 asks for a refusal: sections 2.3 (version), 3.2 (Host), 6.1
    (transfer codings).
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
                raise Invalid("Transfer-Encoding", "must be chunked, once, and in HTTP/1.1")
            chunked = True
    if hosts > 1 or (hosts == 0 and version == "1.1"):
        raise Invalid("Host", "must be sent once")
    return None if chunked else length
