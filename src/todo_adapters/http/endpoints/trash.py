"""The endpoints of the trash."""

from __future__ import annotations

from litestar import Controller, delete, get, post
from litestar.types import ASGIApp

from todo_adapters.http.endpoints.tasks import task_response
from todo_adapters.http.middleware.compression import Compressed
from todo_adapters.http.protocol.parameters import next_link, parse_trash_query
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import JSON, PRIVATE, Response
from todo_adapters.http.protocol.response_memory import ResponseBudget
from todo_adapters.http.protocol.task_lists import trash_response
from todo_adapters.http.protocol.trash_schemas import Nothing
from todo_domain.cursor import decode_trash, encode_trash


class TrashController(Controller):
    """`/api/{user_id}/trash` and the paths below it."""

    path = "/api/{user_id:str}/trash"
    request_class = TaskRequest

    @get(status_code=200)
    async def list_trash(self, request: TaskRequest) -> ASGIApp:
        """List the caller's trash."""
        asked = parse_trash_query(request.query_string)
        before = None if asked.cursor is None else decode_trash(request.owner, asked.cursor)
        request.none_match()  # there is no validator to match, but a malformed condition is refused on every GET

        async def make(budget: ResponseBudget) -> ASGIApp:
            page = await request.tasks.trash(
                request.owner, limit=asked.limit, before=before, budget=budget, deadline=request.deadline
            )
            headers = [JSON, PRIVATE]
            if page.more:
                cursor = encode_trash(request.owner, page.trashed[-1].task.revision)
                headers.append((b"link", next_link(asked, cursor)))
            return Compressed(trash_response(page.trashed, headers, budget))

        return await request.response_memory.respond(request.owner, make, request.deadline)

    @delete(status_code=200)  # the response sets the real status; with 204 Litestar allows no return value
    async def empty_trash(self, request: TaskRequest) -> ASGIApp:
        """Remove all tasks from the trash for good."""
        request.no_parameters()
        await request.tasks.empty_trash(request.owner, deadline=request.deadline)
        return Response(204, headers=[PRIVATE])

    @post("/{key:str}/restore", status_code=200)
    async def restore_task(self, request: TaskRequest) -> ASGIApp:
        """Restore a task from the trash."""
        key = request.task_key()
        await request.optional_object(Nothing)
        return task_response(await request.tasks.restore(request.owner, key, deadline=request.deadline))

    @delete("/{key:str}", status_code=200)
    async def discard_task(self, request: TaskRequest) -> ASGIApp:
        """Remove a task from the trash for good."""
        key = request.task_key()
        await request.tasks.discard(request.owner, key, deadline=request.deadline)
        return Response(204, headers=[PRIVATE])
