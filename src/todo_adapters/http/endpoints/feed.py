"""The calendar feed: made and ended with a token of the issuer, read with the token in its URL."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final

from litestar import Controller, Request, delete, get, post
from litestar.params import FromPath
from litestar.types import ASGIApp

from todo_adapters.http.middleware.authentication import PUBLIC
from todo_adapters.http.protocol.conditional import (
    FEED_FORMAT,
    field_value,
    has_match,
    known_counter,
    list_etag,
    none_match,
)
from todo_adapters.http.protocol.context import context_of
from todo_adapters.http.protocol.errors import NoSuchFeed, NoSuchRoute
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import (
    JSON,
    NO_STORE,
    PIECE,
    PRIVATE,
    Header,
    Response,
    StreamingResponse,
    encode,
)
from todo_adapters.http.protocol.response_memory import ResponseBudget
from todo_adapters.http.protocol.task_lists import in_pieces
from todo_adapters.http.protocol.trash_schemas import FeedOut, Nothing
from todo_domain import Caller, NotFound
from todo_domain.feed import read_feed_token

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Scope

    from todo_adapters.http.middleware.rate_limit import Rate
    from todo_adapters.http.protocol.context import Parts, RequestContext
    from todo_adapters.observability.metrics import Metrics
    from todo_domain.feed import FeedToken

_CALENDAR: Final[Header] = (b"content-type", b"text/calendar; charset=utf-8; component=vevent")
_SUFFIX: Final = ".ics"
_SHARE: Final = 0.25
"""The part of a worker's time that writing a feed may take while others send requests."""

_PIECE: Final = PIECE // 32
"""Bytes that take less than a millisecond to write; other requests run between two pieces."""


class FeedController(Controller):
    """`/api/{user_id}/feed`."""

    path = "/api/{user_id:str}/feed"
    request_class = TaskRequest

    @post(status_code=201)
    async def make_feed(self, request: TaskRequest) -> ASGIApp:
        """Begin the caller's feed; the one before ends."""
        request.no_parameters()
        await request.optional_object(Nothing)
        with request.noting_unknown("feed_made"):
            token = await request.tasks.make_feed(request.owner, deadline=request.deadline)
        request.note("feed_made")
        return Response(201, encode(FeedOut(feed_url(token))), [JSON, NO_STORE])

    @delete(status_code=200)  # what the response says counts; 204 would forbid returning one
    async def end_feed(self, request: TaskRequest) -> ASGIApp:
        """End the caller's feed, if there is one."""
        request.no_parameters()
        with request.noting_unknown("feed_ended"):
            ended = await request.tasks.end_feed(request.owner, deadline=request.deadline)
        if ended:
            request.note("feed_ended")
        return Response(204, headers=[NO_STORE])


def feed_url(token: FeedToken) -> str:
    """Return the reference to a feed, relative to `/api/{user_id}/feed` (RFC 3986, section 5.2)."""
    return f"../../feeds/{token.text}{_SUFFIX}"


def feed_handler(parts: Parts, metrics: Metrics, refused_rate: Rate | None) -> HTTPRouteHandler:
    """Return the route of the feeds. `refused_rate` counts the wrong tokens of each address; None counts nothing."""
    reader = _FeedReader(parts, metrics, refused_rate)

    @get("/feeds/{token:str}", status_code=200, opt={PUBLIC: True})
    async def read_feed(request: Request[Any, Any, Any], token: FromPath[str]) -> ASGIApp:
        """Send the tasks as a calendar to everybody who has the URL."""
        if not token.endswith(_SUFFIX):
            raise NoSuchRoute
        return await reader.read(request.scope, token.removesuffix(_SUFFIX))

    return read_feed


class _FeedReader:
    def __init__(self, parts: Parts, metrics: Metrics, refused_rate: Rate | None) -> None:
        self._parts = parts
        self._metrics = metrics
        self._refused_rate = refused_rate

    async def read(self, scope: Scope, text: str) -> ASGIApp:
        """Return the response to a request for the feed of this token. Raises NoSuchFeed."""
        context = context_of(scope)
        tags = none_match(field_value(scope["headers"], b"if-none-match"))
        try:
            token = read_feed_token(text)

            async def make(budget: ResponseBudget) -> ASGIApp:
                return await self._calendar(context, token, tags, budget)

            return await self._parts.response_memory.respond(token.owner, make, context.deadline)
        except NotFound:
            self._metrics.called(NoSuchFeed.reason)
            if self._refused_rate is not None:
                self._refused_rate.spend_address(context.peer)
            raise NoSuchFeed from None

    async def _calendar(
        self, context: RequestContext, token: FeedToken, tags: tuple[bytes, ...], budget: ResponseBudget
    ) -> ASGIApp:
        """Return the calendar, or 304. Raises NotFound for a wrong token, and RateLimited."""
        owner, known = token.owner, known_counter(tags, token.owner, FEED_FORMAT)
        page = await self._parts.tasks.feed(owner, token, unless=known, budget=budget, deadline=context.deadline)
        if context.caller is None:  # a feed beyond the budget is read again, and counted once
            self._metrics.called("ok")
            context.caller = Caller(owner, inf)
            self._parts.spend(owner, 1, 0)
        etag = list_etag(owner, page.revision, FEED_FORMAT)
        if has_match(tags, etag):
            return Response(304, headers=[PRIVATE, (b"etag", etag)])
        from todo_adapters.formats import calendar  # noqa: PLC0415  its library takes a while to import

        headers = [_CALENDAR, PRIVATE, (b"etag", etag)]
        pieces = in_pieces(calendar.events(page.tasks), _PIECE)
        return StreamingResponse(pieces, headers, share=_SHARE, traffic=self._parts.traffic)
