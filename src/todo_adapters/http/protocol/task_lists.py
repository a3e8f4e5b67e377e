"""Answers that hold many tasks: short ones whole, long ones in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from todo_adapters.http.protocol.response import PIECE, Answer, LongAnswer, encode
from todo_adapters.http.protocol.schemas import changes_out, task_out
from todo_domain.query import SHORT_PAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.types import ASGIApp

    from todo_adapters.http.protocol.answer_memory import AnswerRoom
    from todo_adapters.http.protocol.response import Header
    from todo_domain import Changes, Task


def list_answer(tasks: list[Task], headers: list[Header], room: AnswerRoom) -> ASGIApp:
    """Return the answer that is an array of the tasks. A long one empties the list while it is sent."""
    if _is_short(tasks, room):
        return _whole(encode([task_out(task) for task in tasks]), headers, room)
    return LongAnswer(_pieces(b"[", tasks, b"]"), headers)


def changes_answer(changes: Changes, headers: list[Header], room: AnswerRoom) -> ASGIApp:
    """Return the answer that is a page of changes. A long one empties the page's list while it is sent."""
    if _is_short(changes.tasks, room):
        return _whole(encode(changes_out(changes)), headers, room)
    # Where the tasks belong: {"tasks":[…],"deleted":[…],"revision":…,"has_more":…}
    before, between, after = encode(changes_out(changes._replace(tasks=[]))).partition(b"[")
    return LongAnswer(_pieces(before + between, changes.tasks, after), headers)


def _is_short(tasks: list[Task], room: AnswerRoom) -> bool:
    return len(tasks) <= SHORT_PAGE and room.size <= PIECE


def _whole(body: bytes, headers: list[Header], room: AnswerRoom) -> Answer:
    room.empty()
    room.take(len(body))
    return Answer(200, body, headers)


def _pieces(before: bytes, tasks: list[Task], after: bytes) -> Iterator[bytes]:
    """Yield the JSON of the tasks with what comes before and after it, in pieces of PIECE bytes or little more."""
    tasks.reverse()
    piece, size = [before], len(before)
    while tasks:
        fragment = encode(task_out(tasks.pop()))
        piece.append(fragment)
        if tasks:
            piece.append(b",")
        size += len(fragment) + 1
        if size >= PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    piece.append(after)
    yield b"".join(piece)
