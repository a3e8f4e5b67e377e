"""The programs of examples/clients, as they stand there, against a live service."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from servers import node
from servers.node import NODE
from servers.todo import Served, environment

CLIENTS = Path(__file__).parents[2] / "examples/clients"
HERE = Path(__file__).parent / "example_clients"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("served")) as served:
        yield served


def run(*command, cwd, **variables):
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


def run_in_node(directory, program, *arguments):
    """Run a program beside the examples and their packages; return what it prints."""
    (directory / "node_modules").symlink_to(node.installed(HERE) / "node_modules")
    for example in CLIENTS.glob("*.mjs"):
        shutil.copy(example, directory)
    (directory / "program.mjs").write_text(program)
    status, printed, complaints = run(NODE, "program.mjs", *arguments, cwd=directory)
    assert (status, complaints) == (0, "")
    return json.loads(printed)


@pytest.mark.parametrize("example", sorted(CLIENTS.glob("*.*")), ids=lambda example: example.name)
def test_an_example_is_short(example):
    assert len(example.read_text().splitlines()) <= 60


QUERY = """
import { InfiniteQueryObserver, MutationObserver, QueryClient } from "@tanstack/query-core";
import { todo } from "./tanstack-query.mjs";
const [api, token] = process.argv.slice(2);
const client = new QueryClient();
const tasks = todo(api, async () => token, client);
const observer = new InfiniteQueryObserver(client, tasks.list("?limit=2&sort=id"));
observer.subscribe(() => {});
let result = await observer.refetch();
while (result.hasNextPage) result = await observer.fetchNextPage();
const cached = () => client.getQueryData(["tasks", api]).pages.flatMap((page) => page.tasks);
const titles = () => cached().map((task) => task.title);
const find = (title) => cached().find((task) => task.title === title);
const seen = [["pages", result.data.pages.map((page) => page.tasks.length)]];
const real = fetch;
let shown;
globalThis.fetch = (...request) => ((shown = titles()), real(...request));
async function step(name, options, variables) {
  shown = null;
  const { code } = (await new MutationObserver(client, options).mutate(variables).catch((problem) => problem)) ?? {};
  seen.push([name, shown, titles(), code ?? null]);
}
const uid = "named-by-the-page";
await step("create", tasks.create, { uid, title: "new" });
await step("create again", tasks.create, { uid, title: "new" });
const old = find("0");
await step("edit", tasks.edit, { task: old, edit: { title: "mine" } });
await step("edit what is old", tasks.edit, { task: old, edit: { title: "late" } });
await step("edit badly", tasks.edit, { task: find("1"), edit: { title: " " } });
await step("remove", tasks.remove, find("new"));
const gone = { ...old, id: undefined, uid, revision: 1 };
await step("edit what is gone", tasks.edit, { task: gone, edit: { title: "x" } });
console.log(JSON.stringify(seen));
client.clear();
"""


def test_tanstack_query_shows_changes_at_once_and_goes_back_to_what_the_service_has(served, tmp_path):
    token = served.token("query")
    for number in range(3):
        served.request("POST", "/api/me/tasks", token, {"title": f"{number}"})
    assert run_in_node(tmp_path, QUERY, f"{served.origin}/api/me", token) == [
        ["pages", [2, 1]],
        ["create", ["new", "0", "1", "2"], ["new", "0", "1", "2"], None],
        ["create again", ["new", "0", "1", "2"], ["new", "0", "1", "2"], "exists"],
        ["edit", ["new", "mine", "1", "2"], ["new", "mine", "1", "2"], None],
        ["edit what is old", ["new", "late", "1", "2"], ["new", "mine", "1", "2"], "stale"],
        ["edit badly", ["new", "mine", " ", "2"], ["new", "mine", "1", "2"], "invalid"],
        ["remove", ["mine", "1", "2"], ["mine", "1", "2"], None],
        ["edit what is gone", ["x", "mine", "1", "2"], ["mine", "1", "2"], "gone"],
    ]


OFFLINE = """
import { InfiniteQueryObserver, MutationObserver, QueryClient, onlineManager } from "@tanstack/query-core";
import { todo } from "./tanstack-query.mjs";
const [api, token] = process.argv.slice(2);
const client = new QueryClient();
client.mount();
const tasks = todo(api, async () => token, client);
const observer = new InfiniteQueryObserver(client, tasks.list());
observer.subscribe(() => {});
await observer.refetch();
const find = (title) => observer.getCurrentResult().data.pages[0].tasks.find((task) => task.title === title);
const changes = [];
async function change(options, variables, shown) {
  const mutation = new MutationObserver(client, options);
  changes.push(mutation.mutate(variables).then(() => "saved", (problem) => problem.code));
  while (!mutation.getCurrentResult().isPaused || !find(shown)) await new Promise(setImmediate);
}
onlineManager.setOnline(false);
await change(tasks.create, { uid: "made-offline", title: "new" }, "new");
await change(tasks.edit, { task: find("new"), edit: { title: "newer" } }, "newer");
await change(tasks.edit, { task: find("newer"), edit: { completed: true } }, "newer");
await change(tasks.edit, { task: find("known"), edit: { title: "mine" } }, "mine");
await change(tasks.edit, { task: find("mine"), edit: { priority: "high" } }, "mine");
const other = find("taken");
await change(tasks.edit, { task: other, edit: { title: "late" } }, "late");
const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
const theirs = JSON.stringify({ title: "theirs" });
await fetch(`${api}/tasks/${other.id}`, { method: "PATCH", headers, body: theirs });
onlineManager.setOnline(true);
const said = await Promise.all(changes);
await observer.refetch();
const { pages } = observer.getCurrentResult().data;
const rows = pages[0].tasks.map(({ title, completed, priority }) => [title, completed, priority]);
console.log(JSON.stringify([said, rows]));
process.exit();
"""


def test_tanstack_query_keeps_every_edit_of_a_task_that_was_made_offline(served, tmp_path):
    token = served.token("offline")
    for title in ("known", "taken"):
        served.request("POST", "/api/me/tasks", token, {"title": title})
    assert run_in_node(tmp_path, OFFLINE, f"{served.origin}/api/me", token) == [
        ["saved", "saved", "saved", "saved", "saved", "stale"],
        [["newer", True, "none"], ["theirs", False, "none"], ["mine", False, "high"]],
    ]


def test_the_script_adds_lists_and_completes_tasks_and_says_what_is_refused(served, tmp_path):
    settings = {"TODO_API": f"{served.origin}/api/me", "TODO_TOKEN": served.token("script")}

    def script(*words):
        return run(sys.executable, CLIENTS / "tasks.py", *words, cwd=tmp_path, **settings)

    status, key, complaints = script("add", "Buy milk", "home", "shop")
    assert (status, complaints) == (0, "")
    assert script("add", "Call home")[0] == 0
    assert script("done", key.strip()) == (0, "", "")
    lines = [line.split(maxsplit=1)[1] for line in script("list")[1].splitlines()]
    assert sorted(lines) == ["Call home", "x Buy milk home shop"]
    status, _, complaints = script("add", " ")
    assert (status, complaints.startswith("400: title")) == (1, True)
