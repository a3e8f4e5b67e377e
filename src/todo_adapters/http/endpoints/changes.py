"""Incremental sync: what changed since a revision."""

from __future__ import annotations

from litestar import Controller, get
from litestar.types import ASGIApp

from todo_adapters.http.middleware.compression import Compressed
from todo_adapters.http.protocol.parameters import changes_parameters
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import JSON, PRIVATE, Answer, encode
from todo_adapters.http.protocol.schemas import changes_out


class ChangesController(Controller):
    """`/api/{user_id}/changes`."""

    path = "/api/{user_id:str}/changes"
    request_class = TaskRequest

    @get(status_code=200)
    async def list_changes(self, request: TaskRequest) -> ASGIApp:
        """List what changed after `since`, or everything."""
        since, limit = changes_parameters(request.query_string)
        request.none_match()  # no validator could match, but a malformed condition is refused on every GET
        changes = await request.tasks.changes(request.owner, since=since, limit=limit)
        return Compressed(Answer(200, encode(changes_out(changes)), [JSON, PRIVATE]))
