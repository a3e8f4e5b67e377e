"""The adapters for libraries that work offline, with these libraries, against a live service.

Three devices make two hundred changes offline, in four rounds; then a network that loses a twentieth of the requests
and a tenth of the responses is all that they have to become alike.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from servers import node
from servers.node import NODE
from servers.todo import Served, environment

CLIENTS = Path(__file__).parents[2] / "examples/clients"
HERE = Path(__file__).parent / "offline_libraries"
GUIDE = (Path(__file__).parents[2] / "docs/clients.md").read_text()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """The clients, the devices that use them, and the libraries that both need."""
    directory = tmp_path_factory.mktemp("clients")
    for file in (HERE / "package.json", *HERE.glob("*.mjs"), *CLIENTS.glob("*.mjs")):
        shutil.copy(file, directory)
    (directory / "node_modules").symlink_to(node.installed(HERE) / "node_modules")
    return directory


def ended(directory, *command):
    """A program of Node.js at its end."""
    return subprocess.run(
        [NODE, *command],
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def run(directory, program, library, *arguments):
    """What a program says at its end."""
    ran = ended(directory, program, library, *arguments)
    assert ran.returncode == 0, ran.stderr[-4_000:]
    said = json.loads(ran.stdout.splitlines()[-1])
    print(library, said)  # noqa: T201  the figures, for -s
    return said


READS = {"rxdb": "changes", "tanstack-db": "events", "dexie-outbox": "changes"}
"""What each adapter reads what others did from."""


@pytest.mark.parametrize("library", READS)
def test_three_devices_become_alike_and_no_edit_is_lost_or_doubled(served, directory, library):
    seed = os.environ.get("TODO_DRILL_SEED", os.urandom(4).hex())
    print(f"TODO_DRILL_SEED={seed}")  # noqa: T201  to repeat a failure
    found = run(directory, "devices.mjs", library, served.origin, served.token(library), seed)
    assert (found["strangers"], found["lost"], found["doubled"]) == ([], [], 0)
    assert found["operations"] == 204
    assert found["dropped"] > 0
    assert found["resyncs"][READS[library]] == 3


@pytest.mark.parametrize(("library", "most"), [("rxdb", 510), ("tanstack-db", 510), ("dexie-outbox", 20)])
def test_what_five_hundred_creates_and_a_change_cost(served, directory, library, most):
    said = run(directory, "figures.mjs", library, served.origin, served.token(f"{library} figures"))
    assert said["creates"] <= most
    assert said["milliseconds"] < 5_000


TABS = """
import { createRxDatabase } from "rxdb";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { conflictHandler, replicate, schema } from "./rxdb.mjs";
const [, origin, token] = process.argv.slice(2);
const api = `${origin}/api/me`;
const [real, streams] = [fetch, []];
globalThis.fetch = (url, options) => {
  if (String(url).includes("/events")) streams.push(url);
  return real(url, options);
};
const database = await createRxDatabase({ name: "tab", storage: getRxStorageMemory(), multiInstance: true });
const [follows, leads] = [Promise.withResolvers(), Promise.withResolvers()];
database.waitForLeadership = () => (follows.resolve(), leads.promise);
const { tasks } = await database.addCollections({ tasks: { schema, conflictHandler } });
replicate(tasks, api, async () => token);
await follows.promise;
for (let count = 0; count < 5; count++) await real(`${origin}/health/live`).then((answer) => answer.text());
const before = streams.length;
leads.resolve();
while (!streams.length) await new Promise((done) => setTimeout(done, 5));
console.log(JSON.stringify([before, streams.length]));
process.exit();
"""


def test_rxdb_opens_a_stream_only_in_the_tab_that_leads(served, directory):
    (directory / "tabs.mjs").write_text(TABS)
    assert run(directory, "tabs.mjs", "rxdb", served.origin, served.token("tabs")) == [0, 1]


REFUSED = """
import "fake-indexeddb/auto";
const { default: Dexie } = await import("dexie");
const { change, pull, push, stores } = await import("./dexie-outbox.mjs");
const [, origin, token] = process.argv.slice(2);
const db = new Dexie("refused");
db.version(1).stores(stores);
let requests = 0;
async function send(method, path, body) {
  const headers = { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": "application/json" }) };
  if (++requests > 100) throw new Error("the same writes are sent for ever");
  return fetch(`${origin}/api/me/${path}`, { method, headers, body: body && JSON.stringify(body) });
}
const refused = [];
const note = ({ key }, { status, code }) => refused.push([key, status, code]);
await change(db, "put", "first-of-all", { title: "good" });
await push(db, send, note);
await pull(db, send);
await change(db, "patch", "first-of-all", { title: " " });
await change(db, "put", "short", { title: "its key is no uid" });
await change(db, "put", "without-a-title", { title: "" });
const description = "\u8a9e".repeat(5000); // a hundred of these are over a megabyte
for (let n = 0; n < 100; n++) await change(db, "put", `long-task-${n}`, { title: `${n}`, description });
const left = await Promise.all([push(db, send, note), push(db, send, note)]);
const pulled = await pull(db, send);
const copy = (await db.tasks.toArray()).map(({ key, title }) => [key, title]).sort();
const listed = (await (await send("GET", "tasks")).json()).map(({ uid, title }) => [uid, title]).sort();
console.log(JSON.stringify({
  refused, left, pulled, kept: copy.length, alike: JSON.stringify(copy) === JSON.stringify(listed),
}));
process.exit();
"""


def test_what_the_service_refuses_leaves_the_outbox_of_dexie_and_the_copy(served, directory):
    (directory / "refused.mjs").write_text(REFUSED)
    said = run(directory, "refused.mjs", "dexie-outbox", served.origin, served.token("refused"))
    said["refused"].sort()
    assert said == {
        "refused": [["first-of-all", 400, "invalid"], ["short", 400, "invalid"], ["without-a-title", 400, "invalid"]],
        "left": [None, None],
        "pulled": True,
        "kept": 101,
        "alike": True,
    }


EXPIRED = """
import { createCollection } from "@tanstack/db";
import { todoCollectionOptions } from "./tanstack-db.mjs";
const [, origin, token] = process.argv.slice(2);
let asked = 0;
const given = async () => (++asked % 3 ? `${token}x` : token); // two of three are refused
const tasks = createCollection(todoCollectionOptions(`${origin}/api/me`, given, { id: "tasks", pause: 1 }));
await tasks.stateWhenReady();
const uid = crypto.randomUUID();
await tasks.insert({ uid, title: "kept", completed: false }).isPersisted.promise;
console.log(JSON.stringify([tasks.status, tasks.get(uid).title, asked > 3]));
process.exit();
"""


def test_tanstack_db_keeps_an_edit_whose_token_has_expired_on_the_way(served, directory):
    (directory / "expired.mjs").write_text(EXPIRED)
    said = run(directory, "expired.mjs", "tanstack-db", served.origin, served.token("expired"))
    assert said == ["ready", "kept", True]


DEVELOPING = """
import { addRxPlugin, createRxDatabase } from "rxdb";
import { disableWarnings, RxDBDevModePlugin } from "rxdb/plugins/dev-mode";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { wrappedValidateAjvStorage } from "rxdb/plugins/validate-ajv";
import { conflictHandler, replicate, schema } from "./rxdb.mjs";
disableWarnings();
addRxPlugin(RxDBDevModePlugin);
const [, origin, token] = process.argv.slice(2);
const storage = wrappedValidateAjvStorage({ storage: getRxStorageMemory() });
const database = await createRxDatabase({ name: "developing", storage });
const { tasks } = await database.addCollections({ tasks: { schema, conflictHandler } });
const replication = replicate(tasks, `${origin}/api/me`, async () => token);
const errors = [];
replication.error$.subscribe((error) => errors.push(error.message));
const find = (title) => new Promise((found) => {
  tasks.findOne({ selector: { title } }).$.subscribe((one) => one && found(one));
});
await tasks.insert({ key: "made-here-1", title: "mine", completed: false });
const theirs = await find("theirs");
await theirs.patch({ title: "both", completed: true, due_date: "2026-12-24", extra: { color: "teal" }, tags: ["x"] });
await (await find("mine")).remove();
await replication.awaitInSync();
console.log(JSON.stringify(errors));
process.exit();
"""


def test_rxdb_accepts_the_adapters_schema_and_documents_while_it_is_in_dev_mode(served, directory):
    token = served.token("developing")
    served.request("POST", "/api/me/tasks", token, {"title": "theirs"})
    (directory / "developing.mjs").write_text(DEVELOPING)
    assert run(directory, "developing.mjs", "rxdb", served.origin, token) == []
    listed = served.request("GET", "/api/me/tasks", token).body
    assert [(task["title"], task["completed"], task["extra"]) for task in listed] == [("both", True, {"color": "teal"})]


def test_the_adapters_compile_strictly_in_a_typescript_project(directory):
    shutil.copy(HERE / "typed.ts", directory)
    compiler = node.installed(HERE.with_name("generated_clients")) / "node_modules/typescript/bin/tsc"
    library = ["--target", "es2023", "--lib", "es2023,dom"]
    modules = ["--module", "esnext", "--moduleResolution", "bundler", "--allowJs", "--skipLibCheck", "--noEmit"]
    compiled = ended(directory, compiler, "--strict", *library, *modules, "typed.ts")
    assert (compiled.returncode, compiled.stdout) == (0, "")


def test_the_stream_is_that_of_the_guide():
    (program,) = re.findall(r"<!-- stream.mjs -->\n```js\n(.*?)```", GUIDE, re.DOTALL)
    assert (CLIENTS / "stream.mjs").read_text() == program
