"""The upper limit of speed: a bare ASGI function that sends the service's statements over the service's client.

There is no authentication, no validation, no row-level security, no revision in a header, no log and no metric.

DATABASE_URL=postgresql://… PORT=8000 python ceiling_app.py
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
import uvicorn
from psycopg.pq.abc import PGresult

from todo_adapters.sql import lists, statements
from todo_adapters.sql.addresses import postgresql_url
from todo_adapters.sql.postgres import pool, writes
from todo_adapters.sql.postgres.client import PostgresClient
from todo_adapters.sql.postgres.pipeline import PipelineConnection
from todo_adapters.sql.postgres.transaction import Transaction
from todo_adapters.sql.rows import Row
from todo_app.settings import read_settings
from todo_domain.owner import DEFAULT_QUOTA
from todo_domain.query import Sort
from todo_domain.text import fold

Scope = dict[str, Any]
Message = dict[str, Any]


class TaskRow(msgspec.Struct):
    """A task as its row is, and as its JSON is."""

    id: int
    user_id: str
    title: str
    description: str | None
    completed_at: datetime | None
    priority: int
    due_date: date | None
    tags: list[str]
    revision: int
    created_at: datetime
    updated_at: datetime


class NewTask(msgspec.Struct):
    """The body of a create."""

    title: str
    description: str | None = None


class Edit(msgspec.Struct):
    """The body of an edit."""

    title: str


class BareWire(PipelineConnection):
    """A connection whose transactions begin without a context."""

    def rows(self, results: list[PGresult]) -> list[list[Row]]:
        """Return the rows of each statement."""
        return super().rows([results[0], *results])


def without_context(*parts: sa.ClauseElement, writes: bool = False) -> Transaction:
    """Return a transaction without the user's context."""
    transaction = Transaction(*parts, writes=writes)
    own = transaction.statements[1:]
    places = sorted({place for statement in own for place in statement.places})
    transaction.parameters = tuple(transaction.parameters[place] for place in places)
    transaction.statements = tuple(
        statement._replace(places=tuple(places.index(place) for place in statement.places)) for statement in own
    )
    return transaction


_NEWEST: Final = lists.Shape(Sort("created_at", descending=True), "nothing", filtered=False)

GET: Final = without_context(statements.get)
LIST: Final = without_context(lists.page(_NEWEST))
CREATE: Final = without_context(writes.create, writes=True)
REPLACE: Final = without_context(writes.replace, statements.get, writes=True)
TOGGLE: Final = without_context(writes.toggle, writes=True)

_encode: Final = msgspec.json.Encoder().encode
_new_task: Final = msgspec.json.Decoder(NewTask).decode
_edit: Final = msgspec.json.Decoder(Edit).decode


class Ceiling:
    """The application."""

    def __init__(self, url: str) -> None:
        self._client = PostgresClient(postgresql_url(url), pool_size=read_settings(environment={}).pool_size)

    async def __call__(
        self,
        scope: Scope,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one of the measured requests; any other request raises an exception."""
        if scope["type"] != "http":
            return
        told: TaskRow | Sequence[TaskRow]
        match scope["method"], scope["path"].split("/")[2:]:
            case "GET", [owner, _, task]:
                status, told = 200, await self.get(owner, int(task))
            case "GET", [owner, _]:
                limit = int(scope["query_string"].removeprefix(b"limit="))
                status, told = 200, await self.list(owner, limit)
            case "POST", [owner, _]:
                status, told = 201, await self.create(owner, _new_task((await receive())["body"]))
            case "PATCH", [owner, _, task]:
                status, told = 200, await self.edit(owner, int(task), _edit((await receive())["body"]))
            case "PATCH", [owner, _, task, _]:
                status, told = 200, await self.toggle(owner, int(task))
            case _:
                raise ValueError(scope["path"])
        body = _encode(told)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def get(self, owner: str, task: int) -> TaskRow:
        """Read one task."""
        ((row,),) = await self._client.run(GET, {"owner": owner, "id": task})
        return TaskRow(*row)

    async def list(self, owner: str, limit: int) -> Sequence[TaskRow]:
        """Read the newest tasks."""
        (rows,) = await self._client.run(LIST, {"owner": owner, "unless": None, "most": limit + 1})
        return [TaskRow(*row[:11]) for row in rows[:limit]]

    async def create(self, owner: str, new: NewTask) -> TaskRow:
        """Add a task."""
        now = datetime.now(UTC)
        task = TaskRow(0, owner, new.title, new.description, None, 0, None, [], 0, now, now)
        values = {"owner": owner, "now": now, "quota": DEFAULT_QUOTA, **columns(task)}
        (((task.id, task.revision),),) = await self._client.run(CREATE, values)
        return task

    async def edit(self, owner: str, id: int, edit: Edit) -> TaskRow:
        """Give a task another title."""
        task = await self.get(owner, id)
        task.title, task.updated_at = edit.title, datetime.now(UTC)
        values = {"owner": owner, "id": id, "expected": task.revision, **columns(task), "updated_at": task.updated_at}
        _, ((task.revision,),), _ = await self._client.run(REPLACE, values)
        return task

    async def toggle(self, owner: str, id: int) -> TaskRow:
        """Complete a task, or reopen it."""
        _, (row,) = await self._client.run(TOGGLE, {"owner": owner, "id": id, "now": datetime.now(UTC)})
        return TaskRow(*row)


def columns(task: TaskRow) -> dict[str, Any]:
    """Return the values of a task's columns."""
    return {
        "title": task.title,
        "description": task.description,
        "completed_at": task.completed_at,
        "priority": task.priority,
        "due_date": task.due_date,
        "tags": task.tags,
        "title_key": fold(task.title),
        "description_key": None if task.description is None else fold(task.description),
        "tags_key": task.tags,
    }


def main() -> None:
    """Serve until a signal, like `todo serve`."""
    pool.PipelineConnection = BareWire  # type: ignore[attr-defined]  # made by the client
    uvicorn.run(
        Ceiling(os.environ["DATABASE_URL"]),
        port=int(os.environ["PORT"]),
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    main()
