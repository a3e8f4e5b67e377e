"""The example of docs/clients.md, as it stands there, in Node.js."""

import json
import re
from pathlib import Path

import httpx

from servers.node import NODE
from servers.processes import ServerProcess, free_port
from servers.todo import Served, token_for
from support.serving import serving
from todo_app.compose import application
from todo_app.settings import read_settings

PAGE = (Path(__file__).parents[2] / "docs/clients.md").read_text()
SECRET = "0123456789abcdef0123456789abcdef"

# Pages of two, so that there are several; the first request finds no network; the copy is one that nobody knows.
DRIVER = """
import { follow } from "./follow.mjs";
const [api, token] = process.argv.slice(2);
const real = fetch;
const paged = (url, options) => real(`${url}&limit=2`, options);
globalThis.fetch = async () => { globalThis.fetch = paged; throw new TypeError("offline"); };
const copy = { tasks: new Map([[99, { id: 99, title: "of a life before" }]]), since: 2 ** 53 - 1 };
for await (const { tasks } of follow(api, async () => token, copy, 20)) {
  console.log(JSON.stringify([...tasks.values()].sort((a, b) => b.id - a.id)));
}
"""

LISTENER = """
import { stream } from "./stream.mjs";
const [api, token, since] = process.argv.slice(2);
await stream(api, async () => token, since, (page) => {
  for (const task of page.tasks) console.log(JSON.stringify([task.revision, task.title]));
}, () => console.log(JSON.stringify([0, "resync"])));
"""


def test_the_example_is_short():
    (program,) = re.findall(r"<!-- follow\.mjs -->\n```js\n(.*?)```", PAGE, re.DOTALL)
    assert program.count("\n") <= 26


def test_the_example_keeps_a_copy_equal_to_the_list(tmp_path):
    (program,) = re.findall(r"<!-- follow\.mjs -->\n```js\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "follow.mjs").write_text(program)
    (tmp_path / "driver.mjs").write_text(DRIVER)
    ours = {"TODO_DATABASE_URL": "memory:", "TODO_JWT_SECRET": SECRET, "TODO_AUDIT_LOG": str(tmp_path / "audit.log")}
    token = token_for("ann", SECRET)
    with (
        serving(application(read_settings(environment=ours))) as origin,
        httpx.Client(base_url=f"{origin}/api/me/", headers={"Authorization": f"Bearer {token}"}) as other,
    ):

        def create(title):
            return other.post("tasks", json={"title": title}).raise_for_status().json()["id"]

        ids = [create(f"{number}") for number in range(5)]
        node = ServerProcess(
            [NODE, tmp_path / "driver.mjs", f"{origin}/api/me", token], logs=tmp_path, name="node", cwd=tmp_path
        )

        def copy_is_the_list():
            lines = node.stdout.rpartition("\n")[0].splitlines()
            return bool(lines) and json.loads(lines[-1]) == other.get("tasks").json()

        with node:
            node.wait_until(copy_is_the_list)
            for number, task in enumerate(ids):
                other.patch(f"tasks/{task}", json={"completed": True}).raise_for_status()
                if number % 2:
                    other.delete(f"tasks/{task}").raise_for_status()
                create(f"more {number}")
            node.wait_until(copy_is_the_list)
            assert node.stderr == ""


def test_the_stream_of_the_example_goes_on_after_a_restart(tmp_path):
    (program,) = re.findall(r"<!-- stream\.mjs -->\n```js\n(.*?)```", PAGE, re.DOTALL)
    assert program.count("\n") <= 28
    (tmp_path / "stream.mjs").write_text(program)
    (tmp_path / "listener.mjs").write_text(LISTENER)
    token = token_for("ann", SECRET)
    port, settings = free_port(), {"TODO_JWT_SECRET": SECRET}

    def create(served, title):
        return served.request("POST", "/api/me/tasks", token, {"title": title}).body["revision"]

    def heard(*titles):
        lines = node.stdout.rpartition("\n")[0].splitlines()
        return [json.loads(line)[1] for line in lines] == list(titles)

    with Served(tmp_path, port=port, **settings) as served:
        since = create(served, "before")
        node = ServerProcess(
            [NODE, tmp_path / "listener.mjs", f"{served.origin}/api/me", token, str(since)],
            logs=tmp_path,
            name="node",
            cwd=tmp_path,
        )
        with node:
            create(served, "one")
            node.wait_until(lambda: heard("one"))
            served.process.stop()
            with Served(tmp_path, port=port, **settings) as again:
                create(again, "two")
                node.wait_until(lambda: heard("one", "two"))
                create(again, "three")
                node.wait_until(lambda: heard("one", "two", "three"))
            assert node.stderr == ""
