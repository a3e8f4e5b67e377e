"""One authenticated request to `/api`, read strictly."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from litestar import Request

from todo_adapters.http.live import Live
from todo_adapters.http.protocol import body
from todo_adapters.http.protocol.batches import BatchRequest, parse_batch
from todo_adapters.http.protocol.conditional import field_value, has_anything, idempotency_key, if_match, none_match
from todo_adapters.http.protocol.context import context_of
from todo_adapters.http.protocol.errors import JSON_TYPES, PATCH_TYPES
from todo_adapters.http.protocol.parameters import Parameters, task_key
from todo_adapters.http.protocol.transfers import LONGEST_PAUSE
from todo_domain import Deadline, Invalid, Key, Once, TaskService, Unavailable, UserId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.types import HTTPReceiveMessage, Receive, Scope, Send

    from todo_adapters.http.protocol.pace import Traffic
    from todo_adapters.http.protocol.response_memory import ResponseMemory
    from todo_adapters.http.protocol.transfers import Transfers

T = TypeVar("T")

_AT_ONCE: Final = 0.01
"""Seconds within which a body counts as sent together with its request."""

_NO_PARAMETERS: Final[frozenset[str]] = frozenset()


class TaskRequest(Request[UserId, None, Any]):
    """The request as a handler reads it; each method raises Invalid for a request that breaks the contract.

    `Authentication` has set the caller and the parts of the application in its context. Of Litestar's request it sets
    only `scope`, `receive` and `send`: the rest, which no handler needs, would take 3 µs.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope  # type: ignore[assignment]  # HTTP only
        self.receive = receive
        self.send = send
        self.context = context = context_of(scope)
        caller = context.caller
        if caller is None:
            raise LookupError("the token has not been verified")
        self.owner: UserId = caller.user
        """The caller, who is the owner of the path."""
        self.expires_at = caller.expires_at
        """When the caller's token expires, in seconds since 1970."""
        self.tasks: TaskService = context.parts.tasks
        self._held = 0

    @property
    def live(self) -> Live:
        """The streams and waits of this worker."""
        return self.context.parts.live

    @property
    def deadline(self) -> Deadline:
        """The time by which the response is due."""
        return self.context.deadline

    @property
    def sent_as_head(self) -> bool:
        """Whether the request was HEAD, which is served as GET."""
        return self.context.method == "HEAD"

    @property
    def transfers(self) -> Transfers:
        """The transfers of this worker."""
        return self.context.parts.transfers

    @property
    def traffic(self) -> Traffic:
        """When this worker last had a request."""
        return self.context.parts.traffic

    def note(self, event: str, **more: str | int) -> None:
        """Record an event of this request in the audit log."""
        self.context.route = self.scope["path_template"]
        self.context.parts.audit.record(event, **more, **self.context.details())

    @contextmanager
    def noting_unknown(self, event: str) -> Iterator[None]:
        """Record the event, with its outcome unknown, if it is not known whether the write in this block happened."""
        try:
            yield
        except Unavailable as failure:
            if failure.outcome_unknown:
                self.note(event, outcome="unknown")
            raise

    @property
    def response_memory(self) -> ResponseMemory:
        """The limit on the memory of long responses."""
        return self.context.parts.response_memory

    @property
    def query_string(self) -> bytes:
        """The raw query string, without the question mark."""
        return self.scope["query_string"]

    def task_key(self) -> Key:
        """Return the id or uid in the path. Refuse query parameters."""
        key = task_key(self.scope["path_params"]["key"])
        self.no_parameters()
        return key

    def no_parameters(self) -> None:
        """Refuse any query parameter, because this operation has none."""
        if self.scope["query_string"]:
            Parameters(self.scope["query_string"], _NO_PARAMETERS)

    def single_header(self, name: str) -> bytes | None:
        """Return the value of a header that may be sent once; an error has the name as it is given here."""
        values = self._values(name.lower().encode())
        if not values:
            return None
        if len(values) > 1:
            raise Invalid(name, "is given twice")
        return values[0]

    def has(self, name: bytes) -> bool:
        """Return whether the request has this header."""
        return any(name == given for given, _ in self.scope["headers"])

    def idempotency_key(self) -> str | None:
        """Return the key in `Idempotency-Key`, None if the header is absent."""
        value = self.single_header("Idempotency-Key")
        return None if value is None else idempotency_key(value)

    def once(self, key: str, below: str, raw: bytes) -> Once:
        """Return the key and fingerprint by which a repetition of this write is recognised.

        It is the same write if the method, the path `below` the user (percent-decoded) and the body are the same.
        """
        return Once(key, sha256(b"%s %s\0%s" % (self.scope["method"].encode(), below.encode(), raw)).digest())

    def if_match(self) -> frozenset[int] | None:
        """Return the revisions that `If-Match` accepts, None if any is accepted."""
        return if_match(self._listed(b"if-match"))

    def create_only(self) -> bool:
        """Return whether `If-None-Match` has `*`; other values are ignored on a write."""
        return has_anything(self._listed(b"if-none-match"))

    def none_match(self) -> tuple[bytes, ...]:
        """Return the tags of `If-None-Match`."""
        return none_match(self._listed(b"if-none-match"))

    async def object(self, shape: type[T]) -> tuple[T, bytes]:
        """Return the body as `shape` and as raw bytes."""
        raw = await self._read_body()
        if not raw:
            raise Invalid("body", "is empty: send a JSON object")
        return body.parse(raw, shape), raw

    async def optional_object(self, shape: type[T]) -> tuple[T | None, bytes]:
        """Return the body as `shape`, None for an empty body or JSON's null; and as raw bytes."""
        raw = await self._read_body()
        return body.parse(raw, shape) if raw and not body.is_null(raw) else None, raw

    async def batch(self) -> BatchRequest:
        """Return the batch in the body."""
        raw = await self._read_body(self.context.parts.batch_limit)
        if not raw:
            raise Invalid("body", "is empty: send a JSON object")
        return parse_batch(raw)

    async def import_file(self) -> bytes:
        """Return the body of an import as it came."""

        async def receive() -> HTTPReceiveMessage:
            try:
                async with asyncio.timeout(LONGEST_PAUSE):
                    return await self.receive()  # type: ignore[return-value]  # of HTTP alone
            except TimeoutError:
                return {"type": "http.disconnect"}

        raw = await self._read_body(self.context.parts.import_limit, receive)
        if not raw:
            raise Invalid("body", "is empty: send what an export gave")
        return raw

    def spend(self, requests: int) -> None:
        """Count requests beside this one. Raises RateLimited."""
        self.context.parts.spend(self.owner, requests, 1)

    async def _read_body(self, limit: int | None = None, receive: Receive | None = None) -> bytes:
        """Return the body after checking its type and size; the type of an empty body is not checked.

        A body with a `Content-Length` is checked before it is read, so a body to be refused is not asked for either
        (RFC 9110, section 10.1.1).
        """
        limit = self.context.parts.body_limit if limit is None else limit
        if announced := body.announced(self.scope["headers"]):
            self._check_body(announced, limit)
        begun = monotonic()
        raw = await body.read(receive or self.receive, limit, self._hold)
        if (waited := monotonic() - begun) > _AT_ONCE:  # the client's time does not count
            self.context.deadline = self.context.deadline.later(waited)
        if raw and len(raw) != announced:
            self._check_body(len(raw), limit)
        return raw

    def _check_body(self, size: int, limit: int) -> None:
        accepted = PATCH_TYPES if self.scope["method"] == "PATCH" else JSON_TYPES
        body.check_media_type(self._listed(b"content-type"), self._listed(b"content-encoding"), accepted)
        body.check_size(size, limit)

    def release_body(self) -> None:
        """Release the memory of the body."""
        if self._held:
            self.context.parts.bodies.release(self._held, self.owner)
            self._held = 0

    def _hold(self, size: int) -> None:
        self.context.parts.bodies.take(size, self.owner)
        self._held += size

    def _values(self, name: bytes) -> list[bytes]:
        return [value for given, value in self.scope["headers"] if given == name]

    def _listed(self, name: bytes) -> bytes | None:
        return field_value(self.scope["headers"], name)
