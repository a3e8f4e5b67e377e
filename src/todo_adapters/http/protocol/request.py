"""One authenticated request to `/api`, read strictly."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from litestar import Request

from todo_adapters.http.live import Live
from todo_adapters.http.protocol import body
from todo_adapters.http.protocol.conditional import if_match, none_match
from todo_adapters.http.protocol.errors import JSON_TYPES, PATCH_TYPES
from todo_adapters.http.protocol.parameters import Parameters, task_id
from todo_domain import Invalid, TaskService, UserId

T = TypeVar("T")

_NO_PARAMETERS: Final[frozenset[str]] = frozenset()


class TaskRequest(Request[UserId, None, Any]):
    """What a handler asks of a request; each method raises Invalid for what breaks the contract.

    The gate has put the caller, the service and the largest body into the scope.
    """

    _held: int = 0

    @property
    def owner(self) -> UserId:
        """The caller, whose place this is."""
        return self.scope["user"]  # type: ignore[no-any-return]  # the gate put a UserId there

    @property
    def tasks(self) -> TaskService:
        """The service."""
        return self.scope["todo.tasks"]  # type: ignore[typeddict-item, no-any-return]  # ours, beside ASGI's own keys

    @property
    def expires_at(self) -> float:
        """When the caller's token expires, in seconds since 1970."""
        return self.scope["todo.expires_at"]  # type: ignore[typeddict-item, no-any-return]  # ours, beside ASGI's own keys

    @property
    def live(self) -> Live:
        """What streams and waits need."""
        return self.scope["todo.live"]  # type: ignore[typeddict-item, no-any-return]  # ours, beside ASGI's own keys

    @property
    def sent_as_head(self) -> bool:
        """Whether the request was HEAD, which is served as GET."""
        return self.scope["todo.method"] == "HEAD"  # type: ignore[typeddict-item, no-any-return]  # ours

    @property
    def query_string(self) -> bytes:
        """What follows the question mark."""
        return self.scope["query_string"]

    def task_id(self) -> int:
        """Return the id in the path, having seen that there are no parameters beside it."""
        number = task_id(self.scope["path_params"]["id"])
        self.no_parameters()
        return number

    def no_parameters(self) -> None:
        """Refuse any query parameter: an operation on one task takes none."""
        Parameters(self.scope["query_string"], _NO_PARAMETERS)

    def single_header(self, name: bytes) -> bytes | None:
        """Return a header that may come once."""
        values = self._values(name)
        if len(values) > 1:
            raise Invalid(name.decode().title(), "is given twice")
        return values[0] if values else None

    def if_match(self) -> frozenset[int] | None:
        """Return the revisions that `If-Match` accepts, None where any will do."""
        return if_match(self._listed(b"if-match"))

    def none_match(self) -> tuple[bytes, ...]:
        """Return the tags of `If-None-Match`."""
        return none_match(self._listed(b"if-none-match"))

    async def object(self, shape: type[T]) -> tuple[T, bytes]:
        """Return the body as `shape` and as it came."""
        raw = await self._read_body()
        if not raw:
            raise Invalid("body", "is empty: send a JSON object")
        return body.parse(raw, shape), raw

    async def optional_object(self, shape: type[T]) -> tuple[T | None, bytes]:
        """Return the body as `shape` and as it came; None for an empty body and for JSON's null."""
        raw = await self._read_body()
        return body.parse(raw, shape) if raw and not body.is_null(raw) else None, raw

    async def _read_body(self) -> bytes:
        """Return the body, having checked its type and size; an empty one is no body whatever its type."""
        limit: int = self.scope["todo.body_limit"]  # type: ignore[typeddict-item]  # ours, beside ASGI's own keys
        raw = await body.read(self.receive, limit, self._hold)
        if raw:
            accepted = PATCH_TYPES if self.scope["method"] == "PATCH" else JSON_TYPES
            body.check_media_type(self._listed(b"content-type"), self._listed(b"content-encoding"), accepted)
            body.check_size(raw, limit)
        return raw

    def release_body(self) -> None:
        """Stop counting the body among those that the process holds."""
        if self._held:
            self.scope["todo.bodies"].release(self._held)  # type: ignore[typeddict-item]  # ours, beside ASGI's own keys
            self._held = 0

    def _hold(self, size: int) -> None:
        self.scope["todo.bodies"].take(size)  # type: ignore[typeddict-item]  # ours, beside ASGI's own keys
        self._held += size

    def _values(self, name: bytes) -> list[bytes]:
        return [value for given, value in self.scope["headers"] if given == name]

    def _listed(self, name: bytes) -> bytes | None:
        values = self._values(name)
        return b", ".join(values) if values else None
