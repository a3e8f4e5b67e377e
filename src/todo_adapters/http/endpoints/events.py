"""`/events`: changes as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Controller, get
from litestar.types import ASGIApp

from todo_adapters.http.protocol.context import context_of
from todo_adapters.http.protocol.event_stream import HEADERS, PAGE, EventStream, StreamPosition, busy, stream_position
from todo_adapters.http.protocol.parameters import parse_events_query
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import Response
from todo_adapters.http.protocol.response_memory import ResponseBudget
from todo_adapters.live import TooManyListenersError

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

    from todo_adapters.http.live import Live
    from todo_domain import UserId


class EventsController(Controller):
    """`/api/{user_id}/events`."""

    path = "/api/{user_id:str}/events"
    request_class = TaskRequest

    @get(status_code=200)
    async def stream_events(self, request: TaskRequest) -> ASGIApp:
        """Stream the changes after the client's position."""
        header = request.single_header("Last-Event-ID")
        last_event_id, since = parse_events_query(request.query_string)
        start = (
            stream_position(None if header is None else header.decode("latin-1"))
            or stream_position(last_event_id)
            or StreamPosition(since)
        )
        counter = await request.tasks.counter(request.owner, deadline=request.deadline)
        budget = ResponseBudget(request.response_memory, request.owner)
        return _Stream(request.live, request.owner, start, counter, request.expires_at, budget)


class _Stream:
    """The stream as an ASGI application, which is a listener while it runs."""

    def __init__(
        self, live: Live, user: UserId, start: StreamPosition, counter: int, expires_at: float, budget: ResponseBudget
    ) -> None:
        self._live = live
        self._user = user
        self._start = start
        self._counter = counter
        self._expires_at = expires_at
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream, or `bye` `busy` if there are too many."""
        live, user = self._live, self._user
        try:
            async with live.listening(user, "stream", context_of(scope), receive) as listener:
                stream = EventStream(
                    listener,
                    start=self._start,
                    counter=self._counter,
                    read=lambda since: live.changes(user, since, PAGE),
                    count=lambda: live.service.counter(user),
                    expires_at=self._expires_at,
                    sent=live.woke,
                    budget=self._budget,
                )
                await stream.send_to(send)
        except TooManyListenersError:
            await Response(200, busy(), [*HEADERS])(scope, receive, send)
        finally:
            self._budget.close()
