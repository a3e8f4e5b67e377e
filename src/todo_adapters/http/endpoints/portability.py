"""A user's data as a whole: erased."""

from __future__ import annotations

from litestar import Controller, delete
from litestar.types import ASGIApp

from todo_adapters.http.protocol.parameters import require_confirmed
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import PRIVATE, Answer
from todo_adapters.http.protocol.transfers import TRANSFER_WITHIN
from todo_domain import Deadline, Unavailable


class EraseController(Controller):
    """`/api/{user_id}`."""

    path = "/api/{user_id:str}"
    request_class = TaskRequest

    @delete(status_code=200)  # what the answer says counts; 204 would forbid returning one
    async def erase_user(self, request: TaskRequest) -> ASGIApp:
        """Erase everything of the caller, who has named themself once more."""
        require_confirmed(request.query_string, request.owner)
        with request.transfers.one(request.owner):
            try:
                await request.tasks.erase(request.owner, deadline=Deadline.within(TRANSFER_WITHIN))
            except Unavailable as failure:
                if failure.outcome_unknown:
                    request.note("user_erased", outcome="unknown")
                raise
        request.note("user_erased")
        return Answer(204, headers=[PRIVATE])
