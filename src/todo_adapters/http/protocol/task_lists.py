"""Responses with many tasks: short ones are sent whole, long ones in pieces."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from todo_adapters.http.protocol.response import PIECE, Response, StreamingResponse, encode
from todo_adapters.http.protocol.schemas import changes_out
from todo_adapters.http.protocol.task_json import task_out
from todo_adapters.http.protocol.trash_schemas import trashed_out
from todo_domain.query import SHORT_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from litestar.types import ASGIApp

    from todo_adapters.http.protocol.response import Header
    from todo_adapters.http.protocol.response_memory import ResponseBudget
    from todo_domain import Changes, Task, Trashed

T = TypeVar("T")


def list_response(tasks: list[Task], headers: list[Header], budget: ResponseBudget) -> ASGIApp:
    """Return the response with an array of the tasks. Sending a long one empties the list."""
    return _array(tasks, task_out, headers, budget)


def trash_response(trashed: list[Trashed], headers: list[Header], budget: ResponseBudget) -> ASGIApp:
    """Return the response with an array of tasks in the trash. Sending a long one empties the list."""
    return _array(trashed, trashed_out, headers, budget)


def changes_response(changes: Changes, headers: list[Header], budget: ResponseBudget) -> ASGIApp:
    """Return the response with a page of changes. Sending a long one empties the page's list."""
    if _is_short(len(changes.tasks), budget):
        return _whole(encode(changes_out(changes)), headers, budget)
    # Split at the tasks: {"tasks":[…],"deleted":[…],"revision":…,"has_more":…}
    before, between, after = encode(changes_out(changes._replace(tasks=[]))).partition(b"[")
    return StreamingResponse(_pieces(before + between, changes.tasks, task_out, after), headers)


def _array(items: list[T], out: Callable[[T], object], headers: list[Header], budget: ResponseBudget) -> ASGIApp:
    if _is_short(len(items), budget):
        return _whole(encode([out(item) for item in items]), headers, budget)
    return StreamingResponse(_pieces(b"[", items, out, b"]"), headers)


def _is_short(count: int, budget: ResponseBudget) -> bool:
    return count <= SHORT_PAGE and budget.size <= PIECE


def _whole(body: bytes, headers: list[Header], budget: ResponseBudget) -> Response:
    budget.empty()
    budget.take(len(body))
    return Response(200, body, headers)


def _pieces(before: bytes, items: list[T], out: Callable[[T], object], after: bytes) -> Iterator[bytes]:
    """Yield `before`, the JSON of the items and `after` in pieces; the list is emptied meanwhile."""
    return in_pieces(chain([before], json_items(items, out), [after]))


def json_items(items: list[T], out: Callable[[T], object]) -> Iterator[bytes]:
    """Yield the JSON that `out` makes of each item, with the commas between them. The list is emptied meanwhile."""
    items.reverse()
    while items:
        yield encode(out(items.pop())) + (b"," if items else b"")


def in_pieces(fragments: Iterable[bytes], size: int = PIECE) -> Iterator[bytes]:
    """Yield the fragments joined into pieces of `size` bytes or slightly more."""
    piece, there = [], 0
    for fragment in fragments:
        piece.append(fragment)
        there += len(fragment)
        if there >= size:
            yield b"".join(piece)
            piece, there = [], 0
    yield b"".join(piece)
