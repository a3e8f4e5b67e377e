"""All data of a user: export as a file, import from one, and erase."""

from __future__ import annotations

import math
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Final

from litestar import Controller, delete, get, post
from litestar.types import ASGIApp

from todo_adapters.formats import spreadsheet
from todo_adapters.http.middleware.compression import Compressed
from todo_adapters.http.protocol.imports import ImportOut, checked_file
from todo_adapters.http.protocol.pace import Pace
from todo_adapters.http.protocol.parameters import parse_export_query, require_confirmed
from todo_adapters.http.protocol.request import TaskRequest
from todo_adapters.http.protocol.response import JSON, PIECE, PRIVATE, Header, Response, StreamingResponse, encode
from todo_adapters.http.protocol.response_memory import ResponseBudget
from todo_adapters.http.protocol.task_json import instant, task_out
from todo_adapters.http.protocol.task_lists import in_pieces, json_items
from todo_adapters.http.protocol.transfers import TRANSFER_WITHIN
from todo_adapters.http.protocol.trash_schemas import ExportOut, trashed_out
from todo_domain import Deadline, ErasedMeanwhile, TodoError, Unavailable
from todo_domain.importing import Entry, Import

if TYPE_CHECKING:
    from collections.abc import Iterator

    from todo_adapters.http.protocol.imports import CheckedFile
    from todo_domain import UserId
    from todo_domain.portability import Everything

_TYPES: Final[dict[str, Header]] = {
    "json": JSON,
    "csv": (b"content-type", b"text/csv; charset=utf-8; header=present"),
    "ics": (b"content-type", b"text/calendar; charset=utf-8; component=vtodo"),
}

_EXPORT_SHARE: Final = 0.05
"""The part of a worker's time that writing an export may take while others send requests."""

STEP: Final = 12
"""Entries of a step beside other requests: more would hold them up for longer."""

LONG_STEP: Final = 50
"""Entries of a step in a quiet worker, where the database is far away, and in a large file, which takes more than its
share of the time: in steps of STEP, it would take two to three times as long."""

_CHECKING: Final = 0.1
"""The part of the time that the pauses may take while the file is checked: bringing it in takes most of the work."""

_FAR: Final = 0.02
"""Seconds. The database is far away if no step took less."""

_STEP_BYTES: Final = 65_536
"""Bytes of the file after which a step ends, however few entries it has."""

_PIECES: Final = {"json": PIECE // 16, "csv": PIECE // 16, "ics": PIECE // 32}
"""Bytes of each format that take a fraction of a millisecond to write; other requests run between two pieces."""


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

        async def make(budget: ResponseBudget) -> ASGIApp:
            everything = await request.tasks.export(request.owner, budget=budget, deadline=deadline)
            name = f'attachment; filename="todo-{everything.exported_at:%Y-%m-%d}.{format_}"'
            headers = [_TYPES[format_], PRIVATE, (b"content-disposition", name.encode())]
            fragments = _fragments(format_, request.owner, everything)
            pieces = in_pieces(fragments, _PIECES[format_])
            return Compressed(StreamingResponse(pieces, headers, share=_EXPORT_SHARE, traffic=request.traffic))

        response = await request.transfers.respond(
            request.owner, lambda: request.response_memory.respond(request.owner, make, deadline)
        )
        if not request.sent_as_head:
            request.note("user_exported", format=format_)
        return response


class ImportController(Controller):
    """`/api/{user_id}/import`."""

    path = "/api/{user_id:str}/import"
    request_class = TaskRequest

    @post(status_code=200)
    async def import_tasks(self, request: TaskRequest) -> ASGIApp:
        """Import the tasks of a file, in steps, and report their outcome."""
        request.no_parameters()
        with request.transfers.one(request.owner):
            raw = await request.import_file()
            deadline = Deadline.within(TRANSFER_WITHIN)
            report = ImportOut(created=0, updated=0, unchanged=0, skipped=[], skipped_count=0)
            try:
                file = await checked_file(raw, Pace(len(raw), deadline, request.traffic, most=_CHECKING))
                await _bring_in(request, file, report, deadline)
            except ErasedMeanwhile:
                if report.created + report.updated > 0:
                    request.note("user_imported", outcome="unknown")
                raise
            except Unavailable as failure:
                # The steps before this one are kept.
                unknown = failure.outcome_unknown or report.created + report.updated > 0
                if unknown:
                    request.note("user_imported", outcome="unknown")
                raise Unavailable(str(failure), outcome_unknown=unknown, retry_after=failure.retry_after) from failure
            counts = {name: getattr(report, name) for name in ("created", "updated", "unchanged", "skipped_count")}
            request.note("user_imported", **counts)
        return Response(200, encode(report), [JSON, PRIVATE])


class EraseController(Controller):
    """`/api/{user_id}`."""

    path = "/api/{user_id:str}"
    request_class = TaskRequest

    @delete(status_code=200)  # the response sets the real status; with 204 Litestar allows no return value
    async def erase_user(self, request: TaskRequest) -> ASGIApp:
        """Erase all data of the caller, after `confirm` has repeated the user id."""
        require_confirmed(request.query_string, request.owner)
        with request.transfers.one(request.owner), request.noting_unknown("user_erased"):
            await request.tasks.erase(request.owner, deadline=Deadline.within(TRANSFER_WITHIN))
        request.note("user_erased")
        return Response(204, headers=[PRIVATE])


async def _bring_in(request: TaskRequest, file: CheckedFile, report: ImportOut, deadline: Deadline) -> None:
    """Import the entries of the file step by step. The report counts the entries of a step after its transaction."""
    state, index, pace = Import(file.source), 0, Pace(len(file.raw), deadline, request.traffic)
    step: list[Entry | TodoError] = []
    fastest, near = math.inf, True
    begin = end = file.begin
    for read in file.entries():
        if read is not None:
            end, entry = read
            step.append(entry)
            most = STEP if near and pace.in_share else LONG_STEP
            if len(step) >= most or end - begin >= _STEP_BYTES:
                begun = perf_counter()
                index = await _keep(request, state, step, index, report, deadline)
                if most == STEP:  # a long step says nothing of the distance
                    fastest = min(fastest, perf_counter() - begun)
                    near = fastest < _FAR
                step, begin = [], end
        await pace.pause(end)
    await _keep(request, state, step, index, report, deadline)


async def _keep(
    request: TaskRequest,
    state: Import,
    step: list[Entry | TodoError],
    index: int,
    report: ImportOut,
    deadline: Deadline,
) -> int:
    """Import the entries of a step, the first of which has this index, and return the index of the next."""
    entries = [entry for entry in step if isinstance(entry, Entry)]
    outcomes = iter(
        await request.tasks.import_step(request.owner, state, entries, deadline=deadline) if entries else ()
    )
    for at, entry in enumerate(step, start=index):
        report.add(at, next(outcomes) if isinstance(entry, Entry) else entry)
    return index + len(step)


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
