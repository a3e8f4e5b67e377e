// The client that @hey-api/openapi-ts generates, which sends requests itself.

import { client } from "./hey/client.gen.js";
import * as todo from "./hey/index.js";

declare const process: { argv: string[] };
const [, , baseUrl = "", token = ""] = process.argv;
client.setConfig({ baseUrl, auth: () => token });
const path = { user_id: "me" };

function present<T>(value: T | undefined, error: unknown): T {
  if (value === undefined) throw new Error(JSON.stringify(error));
  return value;
}

async function create(body: todo.NewTask, key: string): Promise<todo.Task> {
  const { data, error } = await todo.createTask({ path, body, headers: { "Idempotency-Key": key } });
  return present(data, error);
}

const milk = await create({ title: "Buy milk", priority: "high", tags: ["home", "shop"] }, "1");
const again = await create({ title: "Buy milk", priority: "high", tags: ["home", "shop"] }, "1");
const plumber = await create({ title: "Call the plumber", priority: "low", tags: ["home"], due_date: "2026-12-24" }, "2");
const letter = await create({ title: "Write a letter", description: null }, "3");

const listed = await todo.listTasks({ path, query: { priority: ["high", "low"], tag: ["HOME"], sort: "-title" } });

const one = { ...path, key: milk.id };
const headers = { "If-Match": `"${milk.revision}"` };
const renamed = await todo.patchTask({ path: one, headers, body: { title: "Buy oat milk" } });
const late = await todo.patchTask({ path: one, headers, body: { title: "Buy soy milk" } });
const putBack = await todo.putTask({ path: one, body: { ...milk, completed: true } });
// @ts-expect-error  not every error carries the task
void late.error?.current;

await todo.completeTask({ path: { ...path, key: plumber.id }, body: { completed: true } });
await todo.deleteTask({ path: { ...path, key: letter.id } });
const changes = present((await todo.listChanges({ path, query: { since: milk.revision } })).data, "no changes");

const named = { ...path, key: "named-by-the-client" };
const createOnly = { "If-None-Match": "*" };
await todo.putTask({ path: named, headers: createOnly, body: { title: "Named" } });
const exists = await todo.putTask({ path: named, headers: createOnly, body: { title: "Named again" } });
await todo.deleteTask({ path: named });
const gone = await todo.patchTask({ path: named, body: { title: "Named late" } });

// @ts-expect-error  a body is an object
export const notABody: todo.TaskPut = 42;
// @ts-expect-error  a body has known members only
export const notAMember: todo.NewTask = { titel: "x" };
// @ts-expect-error  a priority is one of four
export const notAPriority: todo.Priority = "urgent";

console.log(
  JSON.stringify({
    once: again.id === milk.id,
    listed: present(listed.data, listed.error).map((task) => [task.title, task.priority]),
    renamed: present(renamed.data, renamed.error).title,
    late: late.error?.code === "stale" ? late.error.current.title : late.error,
    putBack: putBack.error?.code === "stale" ? putBack.error.current.revision - milk.revision : putBack.error,
    changed: changes.tasks.map((task) => [task.title, task.status]),
    deleted: changes.deleted.map(({ id }) => id === letter.id),
    all: changes.revision - milk.revision,
    exists: exists.error?.code === "exists" ? exists.error.current.title : exists.error,
    gone: gone.error?.code === "gone" ? gone.error.deleted.uid : gone.error,
  }),
);
