"""Incremental sync: the changes since a revision, at once or as soon as there are any."""

from __future__ import annotations

import asyncio

from litestar import Controller, get
from litestar.types import ASGIApp

from todo_adapters.http.middleware.compression import Compressed
from todo_adapters.http.protocol.errors import RateLimited
from todo_adapters.http.protocol.parameters import ChangesRequest, parse_changes_query
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import JSON, PRIVATE
from todo_adapters.http.protocol.response_memory import ResponseBudget
from todo_adapters.http.protocol.task_lists import changes_response
from todo_adapters.live import TooManyListenersError
from todo_domain import Changes


class ChangesController(Controller):
    """`/api/{user_id}/changes`."""

    path = "/api/{user_id:str}/changes"
    request_class = TaskRequest

    @get(status_code=200)
    async def list_changes(self, request: TaskRequest) -> ASGIApp:
        """List the changes after `since`, or the whole state; with `wait`, as soon as there are changes."""
        asked = parse_changes_query(request.query_string)
        request.none_match()  # there is no validator to match, but a malformed condition is refused on every GET

        async def make(budget: ResponseBudget) -> ASGIApp:
            if asked.wait is None or request.sent_as_head:
                changes = await request.tasks.changes(
                    request.owner, since=asked.since, limit=asked.limit, budget=budget, deadline=request.deadline
                )
            else:
                try:
                    changes = await _wait(request, asked, asked.wait, budget)
                except TooManyListenersError:
                    raise RateLimited(1, "listeners", "too many streams and waits are open") from None
            return Compressed(changes_response(changes, [JSON, PRIVATE], budget))

        # A wait may be longer than the request's own deadline.
        deadline = request.deadline if asked.wait is None else None
        return await request.response_memory.respond(request.owner, make, deadline)


async def _wait(request: TaskRequest, asked: ChangesRequest, seconds: int, budget: ResponseBudget) -> Changes:
    live, loop = request.live, asyncio.get_running_loop()
    until = loop.time() + seconds
    async with live.listening(request.owner, "wait", request.context, request.receive) as listener:
        listener.position = asked.since
        changes = await request.tasks.changes(
            request.owner, since=asked.since, limit=asked.limit, budget=budget, deadline=request.deadline
        )
        while changes.revision == asked.since:
            ends = until if listener.leaves_at is None else min(until, listener.leaves_at)
            if loop.time() >= ends:
                break
            if (ago := await listener.wait(ends)) is not None:
                changes = await live.changes(request.owner, asked.since, asked.limit, budget)
                live.woke(ago)
    return changes
