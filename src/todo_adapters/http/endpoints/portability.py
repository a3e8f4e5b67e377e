"""All data of a user: export as a file, and erase."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from litestar import Controller, delete, get
from litestar.types import ASGIApp

from todo_adapters.formats import spreadsheet
from todo_adapters.http.middleware.compression import Compressed
from todo_adapters.http.protocol.answer_memory import AnswerRoom
from todo_adapters.http.protocol.parameters import parse_export_query, require_confirmed
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import JSON, PIECE, PRIVATE, Answer, Header, LongAnswer, encode
from todo_adapters.http.protocol.schemas import instant, task_out
from todo_adapters.http.protocol.task_lists import in_pieces, json_items
from todo_adapters.http.protocol.transfers import TRANSFER_WITHIN
from todo_adapters.http.protocol.trash_schemas import ExportOut, trashed_out
from todo_domain import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from todo_domain import UserId
    from todo_domain.portability import Everything

_TYPES: Final[dict[str, Header]] = {
    "json": JSON,
    "csv": (b"content-type", b"text/csv; charset=utf-8; header=present"),
    "ics": (b"content-type", b"text/calendar; charset=utf-8; component=vtodo"),
}

_SHARE: Final = 0.1
"""The part of a worker's time that writing an export may take."""

_PIECES: Final = {"json": PIECE // 4, "csv": PIECE // 16, "ics": PIECE // 64}
"""Bytes of each format that take less than a millisecond to write; other requests run between two pieces."""


class ExportController(Controller):
    """`/api/{user_id}/export`."""

    path = "/api/{user_id:str}/export"
    request_class = TaskRequest

    @get(status_code=200)
    async def export_tasks(self, request: TaskRequest) -> ASGIApp:
        """Send all data of the caller as a file."""
        format_ = parse_export_query(request.query_string)
        request.none_match()  # there is no validator to match, but a malformed condition is refused on every GET
        deadline = Deadline.within(TRANSFER_WITHIN)

        async def make(room: AnswerRoom) -> ASGIApp:
            everything = await request.tasks.export(request.owner, room=room, deadline=deadline)
            name = f'attachment; filename="todo-{everything.exported_at:%Y-%m-%d}.{format_}"'
            headers = [_TYPES[format_], PRIVATE, (b"content-disposition", name.encode())]
            fragments = _fragments(format_, request.owner, everything)
            return Compressed(LongAnswer(in_pieces(fragments, _PIECES[format_]), headers, share=_SHARE))

        answer = await request.transfers.answer(
            request.owner, lambda: request.answers.answer(request.owner, make, deadline)
        )
        if not request.sent_as_head:
            request.note("user_exported", format=format_)
        return answer


class EraseController(Controller):
    """`/api/{user_id}`."""

    path = "/api/{user_id:str}"
    request_class = TaskRequest

    @delete(status_code=200)  # the answer sets the real status; with 204 Litestar allows no return value
    async def erase_user(self, request: TaskRequest) -> ASGIApp:
        """Erase all data of the caller, after `confirm` has repeated the user id."""
        require_confirmed(request.query_string, request.owner)
        with request.transfers.one(request.owner), request.noting_unknown("user_erased"):
            await request.tasks.erase(request.owner, deadline=Deadline.within(TRANSFER_WITHIN))
        request.note("user_erased")
        return Answer(204, headers=[PRIVATE])


def _fragments(format_: str, owner: UserId, everything: Everything) -> Iterator[bytes]:
    """Return the parts of the file, each made on demand."""
    if format_ == "csv":
        return spreadsheet.lines(everything.tasks)
    if format_ == "ics":
        from todo_adapters.formats import calendar  # noqa: PLC0415  its library is slow to import

        return calendar.components(everything.tasks)
    empty = ExportOut("todo/1", owner, everything.revision, instant(everything.exported_at), [], [])
    before, tasks, rest = encode(empty).partition(b'"tasks":[')
    between, trash, after = rest.partition(b'"trash":[')
    in_order = ([before, tasks], json_items(everything.tasks, task_out), [between, trash])
    return chain(*in_order, json_items(everything.trash, trashed_out), [after])
