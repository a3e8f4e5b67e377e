"""Batches: up to a hundred operations in one request and one transaction."""

from __future__ import annotations

from typing import Final

from litestar import Controller, post
from litestar.types import ASGIApp

from todo_adapters.http.protocol.batches import batch_results
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import JSON, PRIVATE, Response, encode
from todo_adapters.http.protocol.response_memory import ResponseBudget
from todo_domain import NotFound
from todo_domain.memory_budget import LARGEST_TASK

OPERATIONS_OF_A_REQUEST: Final = 10
"""Operations that the rate limit of a user counts as one request."""


class BatchController(Controller):
    """`/api/{user_id}/batch`."""

    path = "/api/{user_id:str}/batch"
    request_class = TaskRequest

    @post(status_code=200)
    async def do_batch(self, request: TaskRequest) -> ASGIApp:
        """Do the operations in order, and return a result for each."""
        request.no_parameters()
        operations, atomic = await request.batch()
        if (further := (len(operations) - 1) // OPERATIONS_OF_A_REQUEST) > 0:
            request.spend(further)

        async def make(budget: ResponseBudget) -> ASGIApp:
            # Memory for the longest possible response, because a batch that is done can no longer be refused.
            budget.take(len(operations) * LARGEST_TASK)
            results = await request.tasks.batch(request.owner, operations, atomic=atomic, deadline=request.deadline)
            for result in results:
                if isinstance(result, NotFound):
                    request.note("task_not_found", reason="no_such_task")
            out = batch_results(results)
            body = encode(out)
            budget.shrink(len(body))
            return Response(207 if out.failed else 200, body, [JSON, PRIVATE])

        return await request.response_memory.respond(request.owner, make, request.deadline)
