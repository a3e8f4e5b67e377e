"""The task endpoints: each handler reads the request, makes one call, and replies."""

from __future__ import annotations

from collections.abc import Awaitable

from litestar import Controller, delete, get, patch, post, put
from litestar.types import ASGIApp

from todo_adapters.http.middleware.compression import Compressed
from todo_adapters.http.protocol.conditional import etag_of, has_match, known_counter, list_etag
from todo_adapters.http.protocol.parameters import next_link, parse_list_query, query_of
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import JSON, PRIVATE, Response, encode
from todo_adapters.http.protocol.response_memory import ResponseBudget
from todo_adapters.http.protocol.schemas import Completion, NewTask, TaskPatch, TaskPut, members, put_of
from todo_adapters.http.protocol.task_json import task_out
from todo_adapters.http.protocol.task_lists import list_response
from todo_domain import Repeated, Task
from todo_domain.cursor import encode as encode_cursor
from todo_domain.query import list_position


class TaskController(Controller):
    """`/api/{user_id}/tasks` and the paths below it."""

    path = "/api/{user_id:str}/tasks"
    request_class = TaskRequest

    @get(status_code=200)
    async def list_tasks(self, request: TaskRequest) -> ASGIApp:
        """List the caller's tasks."""
        asked = parse_list_query(request.query_string)
        query = query_of(asked, request.owner)
        tags = request.none_match()
        known = known_counter(tags, request.owner)

        async def make(budget: ResponseBudget) -> ASGIApp:
            page = await request.tasks.list(
                request.owner, query, unless=known, budget=budget, deadline=request.deadline
            )
            etag = list_etag(request.owner, page.revision)
            if has_match(tags, etag):
                return Response(304, headers=[PRIVATE, (b"etag", etag)])
            headers = [JSON, PRIVATE, (b"etag", etag)]
            if page.more:
                cursor = encode_cursor(request.owner, query, list_position(page.tasks[-1], query.sort))
                headers.append((b"link", next_link(asked, cursor)))
            return Compressed(list_response(page.tasks, headers, budget))

        return await request.response_memory.respond(request.owner, make, request.deadline)

    @post(status_code=201)
    async def create_task(self, request: TaskRequest) -> ASGIApp:
        """Create a task, once for each Idempotency-Key."""
        request.no_parameters()
        key = request.idempotency_key()
        new, raw = await request.object(NewTask)
        once = None if key is None else request.once(key, "tasks", raw)
        task, replayed = await request.tasks.create(request.owner, once=once, deadline=request.deadline, **members(new))
        response = replay(task, 201) if replayed else task_response(task, 201)
        response.headers.append((b"location", b"tasks/%d" % task.id))
        return response

    @get("/{key:str}", status_code=200)
    async def read_task(self, request: TaskRequest) -> ASGIApp:
        """Read one task."""
        key = request.task_key()
        tags = request.none_match()
        task = await request.tasks.get(request.owner, key, deadline=request.deadline)
        if has_match(tags, etag := etag_of(task)):
            return Response(304, headers=[PRIVATE, (b"etag", etag)])
        return task_response(task)

    @put("/{key:str}", status_code=200)
    async def put_task(self, request: TaskRequest) -> ASGIApp:
        """Update the members given, or create the task under a uid; read-only members are compared or ignored."""
        key, if_match, idempotency_key = request.task_key(), request.if_match(), request.idempotency_key()
        body, raw = await request.object(TaskPut)
        put = put_of(body)._replace(
            if_match=if_match, conditional=request.has(b"if-match"), create_only=request.create_only()
        )
        once = None if idempotency_key is None else request.once(idempotency_key, f"tasks/{key}", raw)
        try:
            task, created = await request.tasks.put(request.owner, key, put, once=once, deadline=request.deadline)
        except Repeated as done:
            return replay(done.task)
        return task_response(task, 201 if created else 200)

    @patch("/{key:str}", status_code=200)
    async def patch_task(self, request: TaskRequest) -> ASGIApp:
        """Apply a JSON merge patch."""
        key, if_match, idempotency_key = request.task_key(), request.if_match(), request.idempotency_key()
        body, raw = await request.object(TaskPatch)
        once = None if idempotency_key is None else request.once(idempotency_key, f"tasks/{key}", raw)
        return await done_once(
            request.tasks.edit(
                request.owner, key, if_match=if_match, once=once, **members(body), deadline=request.deadline
            )
        )

    @delete("/{key:str}", status_code=200)  # the response has the status; for 204 Litestar allows no return value
    async def delete_task(self, request: TaskRequest) -> ASGIApp:
        """Delete a task."""
        key, if_match, idempotency_key = request.task_key(), request.if_match(), request.idempotency_key()
        once = None if idempotency_key is None else request.once(idempotency_key, f"tasks/{key}", b"")
        return await done_once(
            request.tasks.delete(request.owner, key, if_match=if_match, once=once, deadline=request.deadline)
        )

    @patch("/{key:str}/complete", status_code=200)
    async def complete_task(self, request: TaskRequest) -> ASGIApp:
        """Toggle a task, or set it to the state in the body."""
        key, if_match, idempotency_key = request.task_key(), request.if_match(), request.idempotency_key()
        body, raw = await request.optional_object(Completion)
        once = None if idempotency_key is None else request.once(idempotency_key, f"tasks/{key}/complete", raw)
        if body is not None and (said := members(body)):
            return await done_once(
                request.tasks.edit(request.owner, key, if_match=if_match, once=once, **said, deadline=request.deadline)
            )
        return await done_once(
            request.tasks.toggle(request.owner, key, if_match=if_match, once=once, deadline=request.deadline)
        )


async def done_once(write: Awaitable[Task | None]) -> Response:
    """Return the response to a write, also to one already done under its Idempotency-Key."""
    try:
        task = await write
    except Repeated as done:
        return replay(done.task)
    return Response(204, headers=[PRIVATE]) if task is None else task_response(task)


def replay(task: Task | None, status: int = 200) -> Response:
    """Return the response to a repeated write, which changed nothing: the present task, or 204 if it is deleted."""
    response = Response(204, headers=[PRIVATE]) if task is None else task_response(task, status)
    response.headers.append((b"idempotency-replayed", b"true"))
    return response


def task_response(task: Task, status: int = 200) -> Response:
    """Return the response with a task and its validator."""
    return Response(status, encode(task_out(task)), [JSON, PRIVATE, (b"etag", etag_of(task))])
