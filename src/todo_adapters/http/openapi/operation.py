"""One operation: a method of a path, as OpenAPI describes it."""

from __future__ import annotations

from typing import Any, NamedTuple

from todo_adapters.http.openapi.examples import named
from todo_adapters.http.openapi.parameters import shared
from todo_adapters.http.openapi.responses import Responses, response
from todo_adapters.http.openapi.schemas import reference


class Operation(NamedTuple):
    """The description of a method of a path. `method` is in lower case; `parameters` come after those of the path."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    responses: Responses
    description: str = ""
    parameters: list[Any] = []  # noqa: RUF012  never changed
    body: dict[str, Any] | None = None

    def described(self) -> dict[str, Any]:
        """Return the Operation Object."""
        in_path = [shared(name) for part, name in (("{user_id}", "UserId"), ("{key}", "TaskKey")) if part in self.path]
        described: dict[str, Any] = {"operationId": self.id, "tags": [self.tag], "summary": self.summary}
        if self.description:
            described["description"] = self.description
        if not in_path:
            described["security"] = []
        described["parameters"] = [*in_path, *self.parameters, shared("RequestId")]
        if self.body is not None:
            described["requestBody"] = self.body
        described["responses"] = dict(sorted(self.responses.items()))
        return described


def body(schema: str, media_types: tuple[bytes, ...], *, optional: bool = False, **examples: object) -> dict[str, Any]:
    """Return the body of a request in one of these types, with examples by name. An `optional` body may be null."""
    described = {"anyOf": [reference(schema), {"type": "null"}]} if optional else reference(schema)
    content = {"schema": described, "examples": named(**examples)}
    return {"required": not optional, "content": {media_type.decode(): content for media_type in media_types}}


def unchanged(etag: str) -> Responses:
    """Return the 304; `etag` is the shared header that it repeats."""
    return {"304": response("The client's copy is current.", headers={"ETag": etag})}
