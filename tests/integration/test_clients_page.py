"""The examples of docs/clients.md, as they stand there, and the stream of examples/web, in Node.js."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers.node import NODE
from servers.processes import ServerProcess, free_port
from servers.todo import Served, token_for
from support.serving import serving
from todo_app.compose import application
from todo_app.settings import read_settings

PAGE = (Path(__file__).parents[2] / "docs/clients.md").read_text()
PROVIDERS = (Path(__file__).parents[2] / "docs/providers.md").read_text()
WEB = Path(__file__).parents[2] / "examples/web"
SECRET = "0123456789abcdef0123456789abcdef"

# Pages of two, so that there are several; the first request finds no network; the copy is one that nobody knows.
DRIVER = """
import { follow } from "./follow.mjs";
const [api, token] = process.argv.slice(2);
const real = fetch;
const paged = (url, options) => real(`${url}&limit=2`, options);
globalThis.fetch = async () => { globalThis.fetch = paged; throw new TypeError("offline"); };
const copy = { tasks: new Map([["another-life", { id: 99, title: "of a life before" }]]), since: 2 ** 53 - 1 };
for await (const { tasks } of follow(api, async () => token, copy, 20)) {
  console.log(JSON.stringify([...tasks.values()].sort((a, b) => b.id - a.id)));
}
"""

# As the page says: wait=25 and no pause. There is no network for a second and a half.
WAITING = """
import { follow } from "./follow.mjs";
const [api, token] = process.argv.slice(2);
const [real, begun] = [fetch, Date.now()];
let attempts = 0;
globalThis.fetch = async (url, options) => {
  attempts++;
  if (Date.now() - begun < 1500) throw new TypeError("offline");
  return real(url, options);
};
for await (const { tasks } of follow(api, async () => token, undefined, 0)) {
  console.log(JSON.stringify([tasks.size, attempts]));
  break;
}
"""

LISTENER = """
import { stream } from "./stream.mjs";
const [api, token, since] = process.argv.slice(2);
await stream(api, async () => token, since, (page) => {
  for (const task of page.tasks) console.log(JSON.stringify([task.revision, task.title]));
}, () => console.log(JSON.stringify([0, "resync"])));
"""

# The module of the example page returns while the service is away; a page asks /changes then.
MODULE_LISTENER = """
import { stream } from "./stream.mjs";
let [api, token, since] = process.argv.slice(2);
const on = {
  changes: (page) => {
    for (const task of page.tasks) console.log(JSON.stringify([task.revision, task.title]));
    since = page.revision;
  },
  resync: () => console.log(JSON.stringify([0, "resync"])),
  ready: () => {},
  ping: () => {},
};
const { signal } = new AbortController();
for (;;) await stream(api, async () => token, since, on, signal);
"""


# Three devices edit one task at the same moment, again and again: two write a line each, one sets a priority and tags.
# Every third response is lost, and the request sent again. What is counted is the lines that are missing at the end.
EDITORS = """
import { merge, save } from "./merge.mjs";
const [api, token] = process.argv.slice(2);
let sent = 0;
async function send(method, path, body, headers) {
  const headed = { Authorization: `Bearer ${token}`, "Content-Type": "application/json", ...headers };
  const request = () => fetch(`${api}/${path}`, { method, headers: headed, body: body && JSON.stringify(body) });
  if (method === "PATCH" && ++sent % 3 === 0) await request();
  return request();
}
const lines = (text) => (text ?? "").split("\\n").filter(Boolean);
const union = (mine, theirs, was, name) =>
  name === "description" ? [...new Set([...lines(theirs), ...lines(mine)])].join("\\n") : mine;
const ways = {
  merged: (task, mine) => save(send, task, mine, union),
  theirs: (task, mine) =>
    send("PATCH", `tasks/${task.id}`, merge(task, mine, task), { "If-Match": `"${task.revision}"` }),
  unguarded: (task, mine) => send("PATCH", `tasks/${task.id}`, merge(task, mine, task)),
};
const missing = {};
for (const [name, way] of Object.entries(ways)) {
  let task = await (await send("POST", "tasks", { title: name })).json();
  for (let round = 0; round < 12; round++) {
    const edited = (letter) => ({ ...task, description: [...lines(task.description), letter + round].join("\\n") });
    const set = { ...task, priority: ["low", "high"][round % 2], tags: [`${round}`] };
    await Promise.all([edited("a"), edited("b"), set].map((mine) => way(task, mine)));
    task = await (await send("GET", `tasks/${task.id}`)).json();
  }
  missing[name] = [24 - lines(task.description).length, task.priority, task.tags];
}
console.log(JSON.stringify(missing));
"""

# A queue of creates, edits and deletes; every fourth request does not arrive, and every third response is lost.
QUEUE = """
import { drain } from "./drain.mjs";
const [api, token] = process.argv.slice(2);
const real = fetch;
let sent = 0;
globalThis.fetch = async (...request) => {
  if (++sent % 4 === 0) throw new TypeError("offline");
  const response = await real(...request);
  if (sent % 3 === 0) throw new TypeError("the response is lost");
  return response;
};
const headed = { Authorization: `Bearer ${token}` };
const tasks = await (await real(`${api}/tasks?sort=id`, { headers: headed })).json();
const queue = [];
const createOnly = { "If-None-Match": "*" };
for (const [number, { id }] of tasks.entries()) {
  const uid = crypto.randomUUID();
  const key = { "Idempotency-Key": crypto.randomUUID() };
  queue.push({ method: "POST", path: "tasks", body: { title: `made ${number}` }, headers: key });
  queue.push({ method: "PUT", path: `tasks/${uid}`, body: { title: `named ${number}` }, headers: createOnly });
  for (const name of [id, uid]) {
    queue.push({ method: "PATCH", path: `tasks/${name}`, body: { title: `${number} edited` } });
    for (let click = 0; click < 3; click++) {
      const once = { "Idempotency-Key": crypto.randomUUID() };
      queue.push({ method: "PATCH", path: `tasks/${name}/complete`, headers: once });
    }
    if (number % 2) queue.push({ method: "DELETE", path: `tasks/${name}` });
  }
}
queue.push({ method: "PUT", path: "tasks/deleted-elsewhere", body: { title: "x" }, headers: createOnly });
queue.push({ method: "DELETE", path: "tasks/deleted-elsewhere" });
queue.push({ method: "PATCH", path: `tasks/${tasks[0].id}`, body: { title: "" } });
const refused = [];
let times = 0;
while ((await drain(api, async () => token, queue, async (write, problem) => {
  refused.push([write.body.title, problem.code]);
})) !== null) times++;
console.log(JSON.stringify({ refused, left: queue.length, again: times > 10 }));
"""

# A timer and the event "online" send the same queue at the same time, while every fourth request does not arrive.
TWICE = """
import { drain } from "./drain.mjs";
const [api, token] = process.argv.slice(2);
const real = fetch;
const arrived = [];
let sent = 0;
globalThis.fetch = async (url, options) => {
  const lost = ++sent % 4 === 0;
  await new Promise((done) => setTimeout(done, sent % 3));
  if (lost) throw new TypeError("offline");
  arrived.push(JSON.parse(options.body).title);
  return real(url, options);
};
const titles = Array.from({ length: 20 }, (_, number) => `${number}`);
const queue = titles.map((title) => (
  { method: "PUT", path: `tasks/${crypto.randomUUID()}`, body: { title }, headers: { "If-None-Match": "*" } }
));
const send = async () => {
  while ((await drain(api, async () => token, queue, console.error)) !== null) await new Promise(setImmediate);
};
await Promise.all([send(), send()]);
console.log(JSON.stringify(arrived));
"""

# What a proxy says when the service is away; no network; and a provider that cannot be reached.
AWAY = """
import { drain } from "./drain.mjs";
const answers = [408, 429, 500, 502, 503, 504, 520, 522, 530].map((status) => () => new Response("<html>", { status }));
answers.push(() => new Response("", { status: 503, headers: { "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT" } }));
answers.push(() => new Response("", { status: 503, headers: { "Retry-After": "7" } }));
answers.push(() => { throw new TypeError("offline"); });
const queue = [{ method: "DELETE", path: "tasks/1" }];
const waits = [];
for (const answer of answers) {
  globalThis.fetch = async () => answer();
  waits.push(await drain("http://service", async () => "token", queue, console.error));
}
globalThis.fetch = async () => new Response(null, { status: 204 });
const noToken = async () => { throw new TypeError("the provider cannot be reached"); };
waits.push(await drain("http://service", noToken, queue, console.error));
waits.push(await drain("http://service", async () => "token", queue, console.error));
console.log(JSON.stringify(waits));
"""

# The provider cannot be reached twice, then a response breaks off, then all is well; its pauses are a hundredth.
BROKEN = """
const [api, token] = process.argv.slice(2);
const [real, later] = [fetch, setTimeout];
let asked = 0, answered = 0;
globalThis.setTimeout = (done, pause, ...rest) => later(done, pause > 10_000 ? pause : pause / 100, ...rest);
const given = async () => { if (++asked < 3) throw new TypeError("the provider cannot be reached"); return token; };
globalThis.fetch = async (url, options) => {
  const response = await real(url, options);
  if (++answered > 1) return response;
  const cut = (body) => (body.enqueue(new TextEncoder().encode('{"ta')), body.error(new TypeError("cut")));
  return new Response(new ReadableStream({ start: cut }), response);
};
"""
BROKEN_FOLLOW = f"""
import {{ follow }} from "./follow.mjs";
{BROKEN}
for await (const {{ tasks }} of follow(api, given)) {{
  console.log(JSON.stringify([...tasks.values()].map((task) => task.title)));
  break;
}}
"""
BROKEN_STREAM = f"""
import {{ stream }} from "./stream.mjs";
{BROKEN}
const stop = new AbortController();
const resync = () => (console.log(JSON.stringify(["resync"])), stop.abort());
await stream(api, given, 0, () => {{}}, resync, stop.signal);
"""

# A connection that is dead unnoticed, as a phone finds it after a sleep: it is open, and nothing comes any more.
# Fifty seconds are 50 ms, except those in which the first connection opens.
SILENT = """
import { createServer } from "node:http";
import { stream } from "./stream.mjs";
const later = setTimeout;
let watches = 0;
const shorter = (pause) => (pause === 50_000 && ++watches === 1 ? pause : Math.min(pause, 50));
globalThis.setTimeout = (done, pause, ...rest) => later(done, shorter(pause), ...rest);
const positions = [];
const stop = new AbortController();
const server = createServer((request, response) => {
  positions.push(new URL(request.url, "http://service").searchParams.get("since"));
  if (positions.length === 3) stop.abort();
  if (positions.length === 2) return; // and one that never shows its head
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write("retry: 100\\n\\nevent: ready\\nid: 5\\ndata: {}\\n\\n");
}).listen(0, async () => {
  await stream(`http://127.0.0.1:${server.address().port}`, async () => "token", 4, () => {}, () => {}, stop.signal);
  server.closeAllConnections();
  server.close();
  console.log(JSON.stringify(positions));
});
"""

# Three tabs, as threads, with a file as the copy that they share; the one that has opened the stream ends by and by.
TABS = """
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { live } from "./tabs.mjs";
const [api, token] = isMainThread ? process.argv.slice(2) : workerData;
const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
if (isMainThread) {
  writeFileSync("copy.json", JSON.stringify({ revision: 0, tasks: [] }));
  const tabs = Array.from({ length: 3 }, () => new Worker(new URL(import.meta.url), { workerData: [api, token] }));
  const [shown, streams, create] = [new Map(), [], (title) =>
    fetch(`${api}/tasks`, { method: "POST", headers, body: JSON.stringify({ title }) })];
  const all = (title) => new Promise((done) => {
    const look = () => tabs.every((tab) => shown.get(tab)?.includes(title)) && (clearInterval(timer), done());
    const timer = setInterval(look, 5);
  });
  for (const tab of tabs) {
    tab.on("message", (said) => (said === "stream" ? streams.push(tab) : shown.set(tab, said)));
  }
  await all("before");
  await create("one");
  await all("one");
  const first = streams.length;
  await tabs.splice(tabs.indexOf(streams[0]), 1)[0].terminate();
  await create("two");
  await all("two");
  console.log(JSON.stringify([first, streams.length, shown.get(tabs[0]), shown.get(tabs[1])]));
  process.exit();
}
const real = fetch;
globalThis.fetch = (url, options) => {
  if (url.includes("/events")) parentPort.postMessage("stream");
  return real(url, options);
};
const read = () => JSON.parse(readFileSync("copy.json"));
const write = ({ revision, tasks }, whole) => {
  const titles = [...(whole ? [] : read().tasks), ...tasks.map((task) => task.title)];
  writeFileSync("copy.new", JSON.stringify({ revision, tasks: titles }));
  renameSync("copy.new", "copy.json"); // a thread that reads meanwhile reads one or the other
};
const copy = {
  since: async () => read().revision,
  apply: async (page) => write(page, false),
  reload: async () => write(await (await real(`${api}/changes`, { headers })).json(), true),
};
live(api, async () => token, copy, () => parentPort.postMessage(read().tasks), new AbortController().signal);
"""

# A provider that fails once; the tokens that it gives are valid for 31 s, then for an hour.
KEPT = """
import { kept } from "./kept.mjs";
const part = (claims) => Buffer.from(JSON.stringify(claims)).toString("base64url");
const valid = (seconds) => `head.${part({ sub: "ann\\u00ff\\u00fe?>", iat: 1000, exp: 1000 + seconds })}.signature`;
const tokens = [valid(31), valid(3600)];
let asked = 0;
const token = kept(async () => {
  if (asked++ === 0) throw new TypeError("the provider cannot be reached");
  return tokens[Math.min(asked - 2, 1)];
});
const failed = await token().catch((error) => error.message);
const first = await Promise.all([token(), token(), token()]);
const real = Date.now;
Date.now = () => real() + 2_000;
const second = [await token(), await token()];
const which = (given) => given.map((one) => tokens.indexOf(one));
console.log(JSON.stringify([failed, which(first), which(second), asked]));
"""

ROWS = """
import { fromRow } from "./powersync.mjs";
const rows = [{ completed: 1, tags: '["home","shop"]' }, { title: "x", completed: 0 }];
console.log(JSON.stringify(rows.map(fromRow)));
"""


def program(name: str, page: str = PAGE) -> str:
    """Return the program of this name as the page has it."""
    (found,) = re.findall(rf"<!-- {re.escape(name)} -->\n```\w+\n(.*?)```", page, re.DOTALL)
    return str(found)


@contextmanager
def another_client(tmp_path: Path) -> Iterator[tuple[str, str, httpx.Client]]:
    """Serve; yield where the user's tasks are, the user's token, and a client of the same user."""
    ours = {"TODO_DATABASE_URL": "memory:", "TODO_JWT_SECRET": SECRET, "TODO_AUDIT_LOG": str(tmp_path / "audit.log")}
    token = token_for("ann", SECRET)
    with (
        serving(application(read_settings(environment=ours))) as origin,
        httpx.Client(base_url=f"{origin}/api/me/", headers={"Authorization": f"Bearer {token}"}) as other,
    ):
        yield f"{origin}/api/me", token, other


def ran(directory: Path, name: str, driver: str, *arguments: str, text: str | None = None) -> Any:
    """Run a driver beside the page's program of this name, or its `text`, and return what it prints as JSON."""
    (directory / name).write_text(text or program(name))
    (directory / "driver.mjs").write_text(driver)
    done = subprocess.run(
        [NODE, "driver.mjs", *arguments], cwd=directory, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("name", "most"), [("follow.mjs", 27), ("stream.mjs", 31), ("merge.mjs", 26), ("drain.mjs", 28), ("tabs.mjs", 20)]
)
def test_an_example_is_short(name: str, most: int):
    assert program(name).count("\n") <= most


def test_the_table_of_ways_to_hear_counts_the_lines_of_the_programs():
    rows = re.findall(r"^\| the (loop|stream)[^|]*\| (\d+) \|", PAGE, re.MULTILINE)
    lines = {"loop": program("follow.mjs").count("\n"), "stream": program("stream.mjs").count("\n")}
    assert len(rows) == 3
    assert all(int(said) == lines[way] for way, said in rows)


def test_a_merge_keeps_every_edit_and_the_other_ways_lose_some(tmp_path):
    with another_client(tmp_path) as (api, token, _):
        missing = ran(tmp_path, "merge.mjs", EDITORS, api, token)
    assert missing["merged"] == [0, "high", ["11"]]
    assert missing["theirs"][0] > 5
    assert missing["unguarded"][0] > 5


MERGES = [
    ({"title": "x"}, {"title": "x"}, {"title": "y"}, {}),
    ({"title": "x"}, {"title": "y"}, {"title": "y"}, {}),
    ({"title": "x"}, {"title": "y"}, {"title": "z"}, {"title": "y"}),
    ({"due_date": "2026-12-24"}, {"due_date": None}, {"due_date": "2026-12-24"}, {"due_date": None}),
    ({"tags": ["a"]}, {"tags": ["a", "b"]}, {"tags": ["a"], "title": "y"}, {"tags": ["a", "b"]}),
    ({"extra": {"a": 1, "b": 1}}, {"extra": {"b": 2}}, {"extra": {"a": 1, "c": 1}}, {"extra": {"a": None, "b": 2}}),
    ({"extra": {"a": {"x": 1}}}, {"extra": {"a": {"x": 2}}}, {"extra": {"a": {"y": 3}}}, {"extra": {"a": {"x": 2}}}),
]


def test_a_merge_sends_what_this_side_changed_and_nothing_else(tmp_path):
    driver = """
import { merge } from "./merge.mjs";
console.log(JSON.stringify(JSON.parse(process.argv[2]).map(([base, mine, theirs]) => merge(base, mine, theirs))));
"""
    assert ran(tmp_path, "merge.mjs", driver, json.dumps(MERGES)) == [edit for *_, edit in MERGES]


def test_a_queue_is_drained_once_however_many_requests_and_responses_are_lost(tmp_path):
    with another_client(tmp_path) as (api, token, other):
        for number in range(12):
            other.post("tasks", json={"title": f"{number}"}).raise_for_status()
        other.put("tasks/deleted-elsewhere", json={"title": "x"}).raise_for_status()
        other.delete("tasks/deleted-elsewhere").raise_for_status()
        done = ran(tmp_path, "drain.mjs", QUEUE, api, token)
        left = sorted((task["title"], task["completed"]) for task in other.get("tasks").json())
    assert done == {"refused": [["x", "gone"], ["", "invalid"]], "left": 0, "again": True}
    edited = [(f"{number} edited", True) for number in range(0, 12, 2)]
    assert left == sorted([*edited, *edited, *((f"made {number}", False) for number in range(12))])


def test_two_calls_that_send_one_queue_at_the_same_time_send_each_write_once_and_in_order(tmp_path):
    with another_client(tmp_path) as (api, token, other):
        assert ran(tmp_path, "drain.mjs", TWICE, api, token) == [f"{number}" for number in range(20)]
        assert len(other.get("tasks").json()) == 20


def test_a_queue_keeps_a_write_while_the_service_or_the_provider_is_away(tmp_path):
    assert ran(tmp_path, "drain.mjs", AWAY) == [5] * 10 + [7, 5, 5, None]


@pytest.mark.parametrize(
    ("name", "driver", "heard"),
    [("follow.mjs", BROKEN_FOLLOW, ["one"]), ("stream.mjs", BROKEN_STREAM, ["resync"])],
)
def test_an_example_goes_on_after_the_provider_cannot_be_reached_and_a_response_breaks_off(
    tmp_path, name, driver, heard
):
    with another_client(tmp_path) as (api, token, other):
        other.post("tasks", json={"title": "one"}).raise_for_status()
        assert ran(tmp_path, name, driver, api, token) == heard


def test_the_stream_leaves_a_connection_that_is_silent(tmp_path):
    assert ran(tmp_path, "stream.mjs", SILENT) == ["4", "5", "5"]


def test_one_tab_follows_the_stream_for_all_and_the_next_one_goes_on_after_it(tmp_path):
    (tmp_path / "stream.mjs").write_text(program("stream.mjs"))
    with another_client(tmp_path) as (api, token, other):
        other.post("tasks", json={"title": "before"}).raise_for_status()
        said = ran(tmp_path, "tabs.mjs", TABS, api, token)
    assert said == [1, 2, ["before", "one", "two"], ["before", "one", "two"]]


@pytest.mark.parametrize(
    ("zone", "today"),
    [("Pacific/Kiritimati", "2026-12-25"), ("America/Los_Angeles", "2026-12-24"), ("Asia/Kathmandu", "2026-12-24")],
)
def test_a_day_is_that_of_the_user_in_every_time_zone(tmp_path, monkeypatch, zone, today):
    monkeypatch.setenv("TZ", zone)
    driver = """
import { dayOf, today } from "./days.mjs";
const shown = dayOf("2026-12-24").toLocaleDateString("en-GB", { weekday: "long", day: "numeric" });
console.log(JSON.stringify([today(new Date("2026-12-24T12:00:00Z")), shown, today(dayOf("2026-12-24"))]));
"""
    assert ran(tmp_path, "days.mjs", driver) == [today, "Thursday 24", "2026-12-24"]


def test_a_token_is_kept_until_shortly_before_its_end_and_asked_for_once(tmp_path):
    said = ran(tmp_path, "kept.mjs", KEPT, text=program("kept.mjs", PROVIDERS))
    assert said == ["the provider cannot be reached", [0, 0, 0], [1, 1], 3]


def test_a_row_of_sqlite_becomes_what_the_service_takes(tmp_path):
    edits = ran(tmp_path, "powersync.mjs", ROWS)
    assert edits == [{"completed": True, "tags": ["home", "shop"]}, {"title": "x", "completed": False}]
    with another_client(tmp_path) as (_, _, other):
        task = f"tasks/{other.post('tasks', json={'title': 'one'}).json()['id']}"
        assert [other.patch(task, json=edit).status_code for edit in edits] == [200, 200]
        refused = [other.patch(task, json=row).json()["code"] for row in ({"completed": 1}, {"tags": '["home"]'})]
        assert refused == ["invalid", "invalid"]


def test_the_example_keeps_a_copy_equal_to_the_list(tmp_path):
    (tmp_path / "follow.mjs").write_text(program("follow.mjs"))
    (tmp_path / "driver.mjs").write_text(DRIVER)
    with another_client(tmp_path) as (api, token, other):

        def create(title):
            return other.post("tasks", json={"title": title}).raise_for_status().json()["id"]

        ids = [create(f"{number}") for number in range(3)] + ["named-by-a-client"]
        other.put(f"tasks/{ids[-1]}", json={"title": "named"}).raise_for_status()
        node = ServerProcess([NODE, tmp_path / "driver.mjs", api, token], logs=tmp_path, name="node", cwd=tmp_path)

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


def test_a_client_that_waits_for_changes_does_not_ask_without_pause_while_it_is_offline(tmp_path):
    with another_client(tmp_path) as (api, token, other):
        other.post("tasks", json={"title": "x"}).raise_for_status()
        waiting = program("follow.mjs").replace("since=${copy.since}", "since=${copy.since}&wait=25")
        assert "wait=25" in waiting
        size, attempts = ran(tmp_path, "follow.mjs", WAITING, api, token, text=waiting)
    assert size == 1
    assert attempts < 10


@pytest.mark.parametrize(
    ("stream", "listener"),
    [(program("stream.mjs"), LISTENER), ((WEB / "stream.js").read_text(), MODULE_LISTENER)],
    ids=["the page's", "the module's"],
)
def test_the_stream_of_the_example_goes_on_after_a_restart(tmp_path, stream, listener):
    (tmp_path / "stream.mjs").write_text(stream)
    (tmp_path / "listener.mjs").write_text(listener)
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
