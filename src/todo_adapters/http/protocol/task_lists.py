"""Answers with many tasks: short ones are sent whole, long ones in pieces."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from todo_adapters.http.protocol.response import PIECE, Answer, LongAnswer, encode
from todo_adapters.http.protocol.schemas import changes_out, task_out
from todo_adapters.http.protocol.trash_schemas import trashed_out
from todo_domain.query import SHORT_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from litestar.types import ASGIApp

    from todo_adapters.http.protocol.answer_memory import AnswerRoom
    from todo_adapters.http.protocol.response import Header
    from todo_domain import Changes, Task, Trashed

T = TypeVar("T")


def list_answer(tasks: list[Task], headers: list[Header], room: AnswerRoom) -> ASGIApp:
    """Return the answer with an array of the tasks. Sending a long one empties the list."""
    return _array(tasks, task_out, headers, room)


def trash_answer(trashed: list[Trashed], headers: list[Header], room: AnswerRoom) -> ASGIApp:
    """Return the answer with an array of tasks in the trash. Sending a long one empties the list."""
    return _array(trashed, trashed_out, headers, room)


def changes_answer(changes: Changes, headers: list[Header], room: AnswerRoom) -> ASGIApp:
    """Return the answer with a page of changes. Sending a long one empties the page's list."""
    if _is_short(len(changes.tasks), room):
        return _whole(encode(changes_out(changes)), headers, room)
    # Split at the place of the tasks: {"tasks":[…],"deleted":[…],"revision":…,"has_more":…}
    before, between, after = encode(changes_out(changes._replace(tasks=[]))).partition(b"[")
    return LongAnswer(_pieces(before + between, changes.tasks, task_out, after), headers)


def _array(items: list[T], out: Callable[[T], object], headers: list[Header], room: AnswerRoom) -> ASGIApp:
    if _is_short(len(items), room):
        return _whole(encode([out(item) for item in items]), headers, room)
    return LongAnswer(_pieces(b"[", items, out, b"]"), headers)


def _is_short(count: int, room: AnswerRoom) -> bool:
    return count <= SHORT_PAGE and room.size <= PIECE


def _whole(body: bytes, headers: list[Header], room: AnswerRoom) -> Answer:
    room.empty()
    room.take(len(body))
    return Answer(200, body, headers)


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
