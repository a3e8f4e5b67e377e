"""Clients that generators make of the OpenAPI document: they compile strictly, and work with a live service.

Each program in generated_clients does the same: it creates, sends a create again, lists by priority and tag, changes
with If-Match, reads the current task from a 412 by its type, asks for the changes, creates a task under a uid twice,
and changes it when it is gone.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from servers import node, python_environment
from servers.node import NODE
from servers.todo import Served, environment

HERE = Path(__file__).parent / "generated_clients"
PAGE = (Path(__file__).parents[2] / "docs/clients.md").read_text()
DONE = {
    "once": True,
    "listed": [["Call the plumber", "low"], ["Buy milk", "high"]],
    "renamed": "Buy oat milk",
    "late": "Buy oat milk",
    "putBack": 3,
    "changed": [["Buy oat milk", "incomplete"], ["Call the plumber", "complete"]],
    "deleted": [True],
    "all": 5,
    "exists": "Named",
    "gone": "named-by-the-client",
}
"""What each program prints; revisions are counted from the first task's."""


def run(*command, cwd, **variables):
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(PYTHONDONTWRITEBYTECODE="1", **variables),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout[-4_000:]}\n{ran.stderr[-4_000:]}"
    return ran.stdout


def from_the_page(name):
    """The program of this name in docs/clients.md."""
    (program,) = re.findall(rf"<!-- {re.escape(name)} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    return program


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture(scope="module")
def document(served, tmp_path_factory):
    """The document as the service serves it."""
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_text(served.text("/openapi.json"))
    return path


@pytest.fixture(scope="module")
def built(document, tmp_path_factory):
    """A directory in which the programs of TypeScript and the generated clients are compiled, strictly."""
    directory = tmp_path_factory.mktemp("typescript")
    for name in ("typed.ts", "renewed.ts"):
        (directory / name).write_text(from_the_page(name))
    settings = [HERE / name for name in ("package.json", "tsconfig.json", "openapi-ts.config.json")]
    for file in (document, *settings, *HERE.glob("*.ts")):
        shutil.copy(file, directory)
    modules = directory / "node_modules"
    modules.symlink_to(node.installed(HERE) / "node_modules")
    run(NODE, modules / "openapi-typescript/bin/cli.js", "openapi.json", "--output", "schema.d.ts", cwd=directory)
    run(NODE, modules / "@hey-api/openapi-ts/bin/run.js", "--no-log-file", cwd=directory)
    run(NODE, modules / "typescript/bin/tsc", "--project", ".", cwd=directory)
    return directory / "built"


def test_redocly_finds_no_error(document):
    """One warning stays: `/` leads to the docs and does nothing else, so it has no 2xx."""
    redocly = node.installed(HERE) / "node_modules/@redocly/cli/bin/cli.js"
    output = run(
        NODE,
        redocly,
        "lint",
        document,
        "--format=json",
        cwd=document.parent,
        REDOCLY_TELEMETRY="off",
        REDOCLY_SUPPRESS_UPDATE_NOTICE="true",
    )
    problems = [
        (one["severity"], one["ruleId"], one["location"][0]["pointer"]) for one in json.loads(output)["problems"]
    ]
    assert problems == [("warn", "operation-2xx-response", "#/paths/~1/get/responses")]


@pytest.mark.parametrize("program", ["openapi_fetch", "hey_api"])
def test_a_generated_client_in_typescript_compiles_strictly_and_works(served, built, program):
    said = run(NODE, built / f"{program}.js", served.origin, served.token(program), cwd=built)
    assert json.loads(said) == DONE


TYPED = """
import { todo } from "./built/typed.js";
const [origin, token] = process.argv.slice(2);
const { urgent, rename } = todo(origin, token);
const [task] = await urgent("HOME");
const first = await rename(task, "mine");
const second = await rename(task, "theirs");
console.log(JSON.stringify([first.title, second.title, second.revision - first.revision]));
"""


def test_the_typed_client_of_the_page_compiles_strictly_and_works(served, built):
    token = served.token("typed")
    served.request("POST", "/api/me/tasks", token, {"title": "one", "priority": "high", "tags": ["home"]})
    served.request("POST", "/api/me/tasks", token, {"title": "two", "priority": "low", "tags": ["home"]})
    (built.parent / "driver.mjs").write_text(TYPED)
    assert json.loads(run(NODE, "driver.mjs", served.origin, token, cwd=built.parent)) == ["mine", "mine", 0]


RENEWED = """
import createClient from "openapi-fetch";
import { renewed } from "./built/renewed.js";
const [baseUrl, token] = process.argv.slice(2);
const tokens = ["expired", token];
const client = renewed(createClient({ baseUrl }), async () => tokens.shift());
const list = () => client.GET("/api/{user_id}/tasks", { params: { path: { user_id: "me" } } });
console.log(JSON.stringify([(await list()).error.code, (await list()).data]));
"""


def test_the_typed_client_of_the_page_sends_the_token_of_each_request(served, built):
    (built.parent / "renewing.mjs").write_text(RENEWED)
    said = run(NODE, "renewing.mjs", served.origin, served.token("renewed"), cwd=built.parent)
    assert json.loads(said) == ["unauthenticated", []]


AXIOS = """
import axios from "axios";
import { todo } from "./axios.example.mjs";
const [origin, token] = process.argv.slice(2);
const api = todo(`${origin}/api/me/`, token);
const params = { tag: ["home", "shop"], priority: ["low", "high"], q: "" };
const listed = (await api.get("tasks", { params })).data;
const toggled = (await api.patch(`tasks/${listed[0].id}/complete`, null)).data;
const plain = { params, headers: { Authorization: `Bearer ${token}` }, validateStatus: () => true };
const refused = (await axios.get(`${origin}/api/me/tasks`, plain)).data;
console.log(JSON.stringify([listed.map((task) => task.title), toggled.completed, refused.fields[0].field]));
"""


def test_axios_sends_arrays_as_the_page_says_and_null_toggles(served, tmp_path):
    token = served.token("axios")
    for members in ({"priority": "low", "tags": ["home", "shop"]}, {"tags": ["home", "shop"]}, {"priority": "high"}):
        served.request("POST", "/api/me/tasks", token, {"title": members.get("priority", "none"), **members})
    (tmp_path / "node_modules").symlink_to(node.installed(HERE) / "node_modules")
    (tmp_path / "axios.example.mjs").write_text(from_the_page("axios.mjs"))
    (tmp_path / "driver.mjs").write_text(AXIOS)
    assert json.loads(run(NODE, "driver.mjs", served.origin, token, cwd=tmp_path)) == [["low"], True, "tag[]"]


QUERY = """
import { InfiniteQueryObserver, MutationObserver, QueryClient } from "@tanstack/query-core";
import { editTask, taskPages } from "./query.mjs";
const [origin, token] = process.argv.slice(2);
const api = `${origin}/api/me`;
const client = new QueryClient();
const observer = new InfiniteQueryObserver(client, { ...taskPages(api, token), initialPageParam: "?limit=2&sort=id" });
observer.subscribe(() => {});
let result = await observer.refetch();
const sizes = [];
while (result.hasNextPage) result = await observer.fetchNextPage();
for (const page of result.data.pages) sizes.push(page.tasks.length);
const titles = () => client.getQueryData(["tasks"]).pages.flatMap((page) => page.tasks.map((task) => task.title));
const first = result.data.pages[0].tasks[0];
const shown = [];
const real = fetch;
globalThis.fetch = (...request) => {
  shown.push(titles()[0]); // before the request is sent
  return real(...request);
};
async function edit(task, change) {
  const mutation = new MutationObserver(client, editTask(api, token, client));
  const { code } = await mutation.mutate({ task, edit: change }).catch((problem) => problem);
  shown.push(titles()[0], code ?? "saved");
}
await edit(first, { title: "mine" });
await edit(first, { title: "late" });
await edit({ ...first, title: "as it was" }, { title: "x".repeat(256) });
console.log(JSON.stringify({ sizes, shown: shown.map((text) => text.slice(0, 9)), rest: titles().slice(1) }));
client.clear();
"""


def test_tanstack_query_pages_by_link_shows_an_edit_at_once_and_goes_back_to_current(served, tmp_path):
    token = served.token("query")
    for number in range(5):
        served.request("POST", "/api/me/tasks", token, {"title": f"{number}"})
    (tmp_path / "node_modules").symlink_to(node.installed(HERE) / "node_modules")
    (tmp_path / "query.mjs").write_text(from_the_page("query.mjs"))
    (tmp_path / "driver.mjs").write_text(QUERY)
    assert json.loads(run(NODE, "driver.mjs", served.origin, token, cwd=tmp_path)) == {
        "sizes": [2, 2, 1],
        "shown": ["mine", "mine", "saved", "late", "mine", "stale", "xxxxxxxxx", "as it was", "invalid"],
        "rest": ["1", "2", "3", "4"],
    }


WITHOUT_A_LIST = """
import { MutationObserver, QueryClient } from "@tanstack/query-core";
import { editTask } from "./query.mjs";
const [origin, token, task] = process.argv.slice(2);
const client = new QueryClient();
const mutation = new MutationObserver(client, editTask(`${origin}/api/me`, token, client));
console.log(JSON.stringify((await mutation.mutate({ task: JSON.parse(task), edit: { title: "edited" } })).title));
client.clear();
"""


def test_an_edit_on_a_page_that_has_no_list_is_saved(served, tmp_path):
    token = served.token("detail")
    task = served.request("POST", "/api/me/tasks", token, {"title": "known by its link"}).body
    (tmp_path / "node_modules").symlink_to(node.installed(HERE) / "node_modules")
    (tmp_path / "query.mjs").write_text(from_the_page("query.mjs"))
    (tmp_path / "driver.mjs").write_text(WITHOUT_A_LIST)
    said = run(NODE, "driver.mjs", served.origin, token, json.dumps(task), cwd=tmp_path)
    assert json.loads(said) == "edited"


def test_a_generated_client_in_python_is_strictly_typed_and_works(served, document, tmp_path):
    place = python_environment.installed(HERE / "requirements.txt")
    python = place / "bin/python"
    path = os.pathsep.join([str(place / "bin"), os.environ["PATH"]])
    generate = ["-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    run(python, *generate, "--path", document, "--output-path", "todo_client", cwd=tmp_path, PATH=path)
    shutil.copy(HERE / "python_client.py", tmp_path)
    mypy = [sys.executable, "-m", "mypy", "--config-file", HERE / "mypy.ini", "--python-executable", python]
    run(*mypy, "-p", "todo_client", "-m", "python_client", cwd=tmp_path)
    said = run(python, "python_client.py", served.origin, served.token("python"), cwd=tmp_path)
    assert json.loads(said) == DONE
