"""The task endpoints: each handler reads the request, makes one call, and replies."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from litestar import Controller, delete, get, patch, post, put
from litestar.types import ASGIApp
from msgspec import UNSET

from todo_adapters.http.middleware.compression import Compressed
from todo_adapters.http.protocol.answer_memory import AnswerRoom
from todo_adapters.http.protocol.conditional import etag_of, has_match, known_counter, list_etag
from todo_adapters.http.protocol.parameters import next_link, parse_list_query, query_of
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import JSON, PRIVATE, Answer, encode
from todo_adapters.http.protocol.schemas import Completion, NewTask, TaskPatch, TaskPut, members, task_out
from todo_adapters.http.protocol.task_lists import list_answer
from todo_domain import Invalid, Once, Task
from todo_domain.cursor import encode as encode_cursor
from todo_domain.query import position_of

_KEY: Final = re.compile(rb'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"|([\x21\x23-\x7e][\x21-\x7e]{0,254})')


class TaskController(Controller):
    """`/api/{user_id}/tasks` and what lies below it."""

    path = "/api/{user_id:str}/tasks"
    request_class = TaskRequest

    @get(status_code=200)
    async def list_tasks(self, request: TaskRequest) -> ASGIApp:
        """List the caller's tasks."""
        asked = parse_list_query(request.query_string)
        query = query_of(asked, request.owner)
        tags = request.none_match()
        known = known_counter(tags, request.owner)

        async def make(room: AnswerRoom) -> ASGIApp:
            page = await request.tasks.list(request.owner, query, unless=known, room=room, deadline=request.deadline)
            etag = list_etag(request.owner, page.revision)
            if has_match(tags, etag):
                return Answer(304, headers=[PRIVATE, (b"etag", etag)])
            headers = [JSON, PRIVATE, (b"etag", etag)]
            if page.more:
                cursor = encode_cursor(request.owner, query, position_of(page.tasks[-1], query.sort))
                headers.append((b"link", next_link(asked, cursor)))
            return Compressed(list_answer(page.tasks, headers, room))

        return await request.answers.answer(request.owner, make, request.deadline)

    @post(status_code=201)
    async def create_task(self, request: TaskRequest) -> ASGIApp:
        """Create a task, once for each Idempotency-Key."""
        request.no_parameters()
        key = idempotency_key(request.single_header(b"idempotency-key"))
        new, raw = await request.object(NewTask)
        once = None if key is None else Once(key, sha256(raw).digest())
        task, replayed = await request.tasks.create(request.owner, once=once, deadline=request.deadline, **members(new))
        answer = task_answer(task, 201)
        answer.headers.append((b"location", b"tasks/%d" % task.id))
        if replayed:
            answer.headers.append((b"idempotency-replayed", b"true"))
        return answer

    @get("/{id:str}", status_code=200)
    async def read_task(self, request: TaskRequest) -> ASGIApp:
        """Read one task."""
        task_id = request.task_id()
        tags = request.none_match()
        task = await request.tasks.get(request.owner, task_id, deadline=request.deadline)
        if has_match(tags, etag := etag_of(task)):
            return Answer(304, headers=[PRIVATE, (b"etag", etag)])
        return task_answer(task)

    @put("/{id:str}", status_code=200)
    async def put_task(self, request: TaskRequest) -> ASGIApp:
        """Update the members given; the others of a task put back are compared or ignored."""
        task_id, if_match = request.task_id(), request.if_match()
        body, _ = await request.object(TaskPut)
        check_put_back(body, task_id, request.owner)
        said = members(body)
        if not said.keys() - {"revision"}:
            raise Invalid("body", "has no member that can be set")
        return task_answer(
            await request.tasks.edit(request.owner, task_id, if_match=if_match, **said, deadline=request.deadline)
        )

    @patch("/{id:str}", status_code=200)
    async def patch_task(self, request: TaskRequest) -> ASGIApp:
        """Apply a JSON merge patch."""
        task_id, if_match = request.task_id(), request.if_match()
        body, _ = await request.object(TaskPatch)
        return task_answer(
            await request.tasks.edit(
                request.owner, task_id, if_match=if_match, **members(body), deadline=request.deadline
            )
        )

    @delete("/{id:str}", status_code=200)  # what the answer says counts; 204 would forbid returning one
    async def delete_task(self, request: TaskRequest) -> ASGIApp:
        """Delete a task."""
        await request.tasks.delete(
            request.owner, request.task_id(), if_match=request.if_match(), deadline=request.deadline
        )
        return Answer(204, headers=[PRIVATE])

    @patch("/{id:str}/complete", status_code=200)
    async def complete_task(self, request: TaskRequest) -> ASGIApp:
        """Toggle a task, or set it to what the body says."""
        task_id, if_match = request.task_id(), request.if_match()
        body, _ = await request.optional_object(Completion)
        if body is not None and (said := members(body)):
            return task_answer(
                await request.tasks.edit(request.owner, task_id, if_match=if_match, **said, deadline=request.deadline)
            )
        return task_answer(
            await request.tasks.toggle(request.owner, task_id, if_match=if_match, deadline=request.deadline)
        )


def task_answer(task: Task, status: int = 200) -> Answer:
    """Return the answer that carries a task and its validator."""
    return Answer(status, encode(task_out(task)), [JSON, PRIVATE, (b"etag", etag_of(task))])


def idempotency_key(value: bytes | None) -> str | None:
    """Return the key in an `Idempotency-Key`, quoted (an RFC 9651 String) or bare, or raise Invalid."""
    if value is None:
        return None
    match = _KEY.fullmatch(value.strip(b" \t"))
    if match is None:
        raise Invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters, bare or as a quoted string")
    quoted, bare = match.groups()
    return str(bare.decode()) if quoted is None else re.sub(r"\\(.)", r"\1", quoted.decode())


def check_put_back(body: TaskPut, task_id: int, owner: str) -> None:
    """Raise Invalid if a PUT carries another id or user than the task's, or a revision that cannot be one."""
    for name, given, own in (("id", body.id, task_id), ("user_id", body.user_id, owner)):
        if given is not UNSET and given is not None and (type(given) is not type(own) or given != own):
            raise Invalid(name, "must be the task's own: it cannot be changed")
    if body.revision is not UNSET and body.revision is not None and type(body.revision) is not int:
        raise Invalid("revision", "must be an integer: the one that the task had when the client read it")
