"""Incremental sync: what changed since a revision, now or as soon as something does."""

from __future__ import annotations

import asyncio

from litestar import Controller, get
from litestar.types import ASGIApp

from todo_adapters.http.middleware.compression import Compressed
from todo_adapters.http.protocol.errors import RateLimited
from todo_adapters.http.protocol.parameters import ChangesRequest, parse_changes_query
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import JSON, PRIVATE, Answer, encode
from todo_adapters.http.protocol.schemas import changes_out
from todo_adapters.live import TooManyListenersError
from todo_domain import Changes


class ChangesController(Controller):
    """`/api/{user_id}/changes`."""

    path = "/api/{user_id:str}/changes"
    request_class = TaskRequest

    @get(status_code=200)
    async def list_changes(self, request: TaskRequest) -> ASGIApp:
        """List what changed after `since`, or everything; with `wait`, once there is something."""
        asked = parse_changes_query(request.query_string)
        request.none_match()  # no validator could match, but a malformed condition is refused on every GET
        if asked.wait is None or request.sent_as_head:
            changes = await request.tasks.changes(
                request.owner, since=asked.since, limit=asked.limit, deadline=request.deadline
            )
        else:
            try:
                changes = await _wait(request, asked, asked.wait)
            except TooManyListenersError:
                raise RateLimited(1, "listeners") from None
        return Compressed(Answer(200, encode(changes_out(changes)), [JSON, PRIVATE]))


async def _wait(request: TaskRequest, asked: ChangesRequest, seconds: int) -> Changes:
    live, loop = request.live, asyncio.get_running_loop()
    until = loop.time() + seconds
    async with live.listening(request.owner, "wait", request.context, request.receive) as listener:
        listener.position = asked.since
        changes = await request.tasks.changes(
            request.owner, since=asked.since, limit=asked.limit, deadline=request.deadline
        )
        while changes.revision == asked.since:
            ends = until if listener.leaves_at is None else min(until, listener.leaves_at)
            if loop.time() >= ends:
                break
            if (ago := await listener.wait(ends)) is not None:
                changes = await live.changes(request.owner, asked.since, asked.limit)
                live.woke(ago)
    return changes
