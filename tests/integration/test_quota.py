"""As many tasks as one user may have: the list is whole, the next create is refused, and a delete makes room."""

import asyncio
from contextlib import aclosing

from servers.todo import Served
from todo_adapters.sql.migrations import upgrade
from todo_adapters.sql.sqlite.store import SqliteTasks
from todo_domain import TaskService, user_id
from todo_domain.owner import DEFAULT_QUOTA


async def _fill(path):
    """Create as many tasks as there may be, a few hundred at a time."""
    async with aclosing(SqliteTasks(path)) as store:
        await store.open()
        tasks = TaskService(store)
        for start in range(0, DEFAULT_QUOTA, 250):
            await asyncio.gather(
                *(tasks.create(user_id("ann"), title=f"task {start + number}") for number in range(250))
            )


def test_ten_thousand_tasks_arrive_whole_and_one_more_is_refused_until_one_is_deleted(tmp_path):
    upgrade(f"sqlite:///{tmp_path / 'todo.db'}")
    asyncio.run(_fill(tmp_path / "todo.db"))
    with Served(tmp_path) as served:
        token = served.token("ann")
        listed = served.request("GET", "/api/me/tasks", token).body
        newest = listed[0]["revision"]
        assert [newest - task["revision"] for task in listed] == list(range(DEFAULT_QUOTA))
        refused = served.request("POST", "/api/me/tasks", token, {"title": "one too many"})
        assert (refused.status, refused.body["code"]) == (409, "quota")
        assert served.request("DELETE", f"/api/me/tasks/{listed[0]['id']}", token).status == 204
        assert served.request("POST", "/api/me/tasks", token, {"title": "fits again"}).status == 201
        assert len(served.request("GET", "/api/me/changes", token).body["tasks"]) == DEFAULT_QUOTA
