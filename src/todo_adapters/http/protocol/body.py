"""Reads a request's body: checks its size and media type, and parses strict JSON (RFC 8259, unique names)."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import msgspec

from todo_adapters.http.protocol.errors import BodyTooLarge, UnsupportedMediaType
from todo_adapters.http.protocol.task_json import EXPECTED
from todo_domain import Invalid, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from litestar.types import Receive

    from todo_domain import UserId

T = TypeVar("T")

DEFAULT_LIMIT: Final = 65_536
"""The most bytes of one body."""

DEFAULT_BATCH_LIMIT: Final = 1_048_576
"""The most bytes of the body of a batch."""

DEFAULT_IMPORT_LIMIT: Final = 8_388_608
"""Bytes of the body of an import."""

DEFAULT_LIMIT_OF_ALL: Final = 67_108_864
"""The most bytes of all bodies that a process holds."""

_DIGITS: Final = 20
"""The most digits of a length; 64 bits need no more."""

_UTF_8 = re.compile(rb'\s*charset\s*=\s*("utf-?8"|utf-?8)\s*', re.IGNORECASE)
"""`utf8` is not registered (RFC 3629, section 8), but many clients send it, and it is unambiguous."""


class Bodies:
    """The bytes of the bodies that a process holds, at most `most`: of those being received and those in use.

    Those of one user are at most a quarter of that, or `longest` bytes if that is more, so that one body of any
    permitted size is received. Otherwise one user, who begins many bodies and does not end them, would keep everybody
    from writing.
    """

    __slots__ = ("_of", "held", "most", "share")

    def __init__(self, most: int = DEFAULT_LIMIT_OF_ALL, longest: int = DEFAULT_IMPORT_LIMIT) -> None:
        self.most = most
        self.share = min(most, max(most // 4, longest))
        self.held = 0
        self._of: dict[UserId, int] = {}

    def take(self, size: int, owner: UserId) -> None:
        """Count received bytes of this user, or raise Unavailable if they exceed a limit."""
        own = self._of.get(owner, 0) + size
        if self.held + size > self.most or own > self.share:
            raise Unavailable("too many request bodies at once: try again")
        self.held += size
        self._of[owner] = own

    def release(self, size: int, owner: UserId) -> None:
        """Stop counting these bytes of this user."""
        self.held -= size
        if left := self._of[owner] - size:
            self._of[owner] = left
        else:
            del self._of[owner]


def announced(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Return the bytes of body that `Content-Length` announces, 0 if it is absent or malformed."""
    for name, value in headers:
        if name == b"content-length":
            return int(value) if len(value) <= _DIGITS and value.isdigit() else 0
    return 0


async def read(receive: Receive, limit: int, take: Callable[[int], None]) -> bytes:
    """Return the body; of one longer than `limit` bytes, only a part that is also longer.

    `take` is called with the size of each piece within that limit; an exception that it raises ends the reading. Raises
    Invalid if the client disconnects before the end.
    """
    chunks = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Invalid("body", "ended before it was complete")
        chunk = message.get("body", b"")  # in ASGI, empty and false keys are optional
        chunks.append(chunk)
        size += len(chunk)
        if size <= limit:
            take(len(chunk))
        if not message.get("more_body", False) or size > limit:
            return b"".join(chunks) if len(chunks) > 1 else chunks[0]


def check_media_type(content_type: bytes | None, content_encoding: bytes | None, accepted: tuple[bytes, ...]) -> None:
    """Raise UnsupportedMediaType unless the body has an accepted type, in UTF-8 and without Content-Encoding."""
    if content_encoding is not None:
        raise UnsupportedMediaType("send the body without Content-Encoding")
    media_type, *parameters = (content_type or b"").split(b";")
    if media_type.strip().lower() not in accepted:
        raise UnsupportedMediaType(f"send the body as {accepted[0].decode()}")
    for parameter in parameters:
        if parameter.strip().lower().startswith(b"charset") and not _UTF_8.fullmatch(parameter):
            raise UnsupportedMediaType("send the body in UTF-8")


def check_size(size: int, limit: int) -> None:
    """Raise BodyTooLarge if a body of `size` bytes is longer than `limit` bytes."""
    if size > limit:
        raise BodyTooLarge(f"the body must be at most {limit:,} bytes")


def is_null(body: bytes) -> bool:
    """Return whether the body is JSON's null, with or without white space around it (RFC 8259, section 2)."""
    return body.strip(b" \t\r\n") == b"null"


def parse(body: bytes, shape: type[T]) -> T:
    """Return the JSON object in `body` as `shape`, a struct that forbids unknown members; one left out is UNSET.

    Raises Invalid for the reasons of `document_of` and `shaped`, and for a member given twice.
    """
    try:
        found: T = _struct_decoder(shape).decode(body)  # type: ignore[arg-type]  # a class is hashable
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # the way below finds the reason
    else:
        values = msgspec.structs.astuple(found)  # type: ignore[arg-type]  # a struct
        if body.count(b":") == len(values) - values.count(msgspec.UNSET):
            return found  # a name that is given twice has a colon more
    return shaped(document_of(body, _DECODER), shape)


@cache
def _struct_decoder(shape: type) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def decoder(objects: Callable[[list[tuple[str, Any]]], dict[str, Any]] | None = None) -> json.JSONDecoder:
    """Return a decoder in which `objects` makes each object from its pairs; without it, a later equal name wins."""
    return json.JSONDecoder(object_pairs_hook=objects, parse_constant=_no_constant)


def document_of(body: bytes, decoder: json.JSONDecoder) -> dict[str, Any]:
    """Return the JSON object in `body`.

    Raises Invalid if it is not UTF-8, not JSON, not an object, or nested too deeply.
    """
    try:
        document = decoder.decode(body.decode())
    except UnicodeDecodeError:
        raise Invalid("body", "must be UTF-8") from None
    except json.JSONDecodeError as error:
        raise Invalid("body", f"must be JSON: the error is at character {error.pos + 1}") from None
    except (RecursionError, ValueError):
        raise Invalid("body", "is nested too deeply or has a number that is too long") from None
    if not isinstance(document, dict):
        raise Invalid("body", "must be a JSON object")
    return document


def shaped(document: dict[str, Any], shape: type[T], expected: Mapping[str, str] = EXPECTED) -> T:
    """Return a JSON object as `shape`, a struct that forbids unknown members.

    `expected` has the message for each member of a wrong type. Raises Invalid for an unknown member, a wrong type, and
    a missing member. No types are converted: `"5"` is not a number, `1` is not a boolean.
    """
    try:
        return msgspec.convert(document, shape, strict=True)
    except (msgspec.ValidationError, UnicodeEncodeError):  # the latter for a lone surrogate, in a name or a value
        raise _problem(document, shape, expected) from None


def unknown_member(name: str) -> Invalid:
    """Return the error of a member that a document of this kind does not have."""
    return Invalid(shown(name), _UNSETTABLE)


def shown(name: str) -> str:
    """Return a name that a client sent in a form for messages: short and printable."""
    name = name if len(name) <= 40 else name[:40] + "…"
    return name if name.isprintable() else name.encode("unicode_escape", "backslashreplace").decode("ascii")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise Invalid(shown(twice), "is given twice")
    return members


def _no_constant(_: str) -> NoReturn:
    raise Invalid("body", "must be JSON: it knows no NaN and no Infinity")


_DECODER: Final = decoder(_unique)
_UNSETTABLE: Final = "is not a member that can be set here"


@cache
def _fields(shape: type) -> Mapping[str, msgspec.structs.FieldInfo]:
    """Return the members of a struct. Reading its annotations takes ten times as long as all else about an error."""
    return {field.encode_name: field for field in msgspec.structs.fields(shape)}


def _problem(document: dict[str, Any], shape: type, expected: Mapping[str, str]) -> Invalid:
    """Return the error of a document that does not have this shape: its first unknown, wrong or missing member."""
    fields = _fields(shape)
    for name in document:
        if name not in fields:
            return unknown_member(name)
    for name, value in document.items():
        try:
            msgspec.convert(value, fields[name].type, strict=True)
        except msgspec.ValidationError:
            return Invalid(name, expected.get(name, _UNSETTABLE))  # of some members only null is accepted
        except UnicodeEncodeError:
            return Invalid(name, "must be Unicode text, without half of a surrogate pair")
    missing = next(name for name, field in fields.items() if field.required and name not in document)
    return Invalid(missing, "is required")
