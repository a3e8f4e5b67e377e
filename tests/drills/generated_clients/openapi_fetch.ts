// The types of openapi-typescript with the client of openapi-fetch.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

declare const process: { argv: string[] };
const [, , origin = "", token = ""] = process.argv;
const client = createClient<paths>({ baseUrl: origin, headers: { Authorization: `Bearer ${token}` } });
const path = { user_id: "me" };

function present<T>(value: T | undefined, error: unknown): T {
  if (value === undefined) throw new Error(JSON.stringify(error));
  return value;
}

async function create(body: Schemas["NewTask"], key: string): Promise<Schemas["Task"]> {
  const header = { "Idempotency-Key": key };
  const { data, error } = await client.POST("/api/{user_id}/tasks", { params: { path, header }, body });
  return present(data, error);
}

const milk = await create({ title: "Buy milk", priority: "high", tags: ["home", "shop"] }, "1");
const again = await create({ title: "Buy milk", priority: "high", tags: ["home", "shop"] }, "1");
const plumber = await create({ title: "Call the plumber", priority: "low", tags: ["home"], due_date: "2026-12-24" }, "2");
const letter = await create({ title: "Write a letter", description: null }, "3");

const query: paths["/api/{user_id}/tasks"]["get"]["parameters"]["query"] = {
  priority: ["high", "low"],
  tag: ["HOME"],
  sort: "-title",
};
const listed = await client.GET("/api/{user_id}/tasks", { params: { path, query } });

const one = { ...path, key: milk.id };
const seen = { "If-Match": `"${milk.revision}"` };
const renamed = await client.PATCH("/api/{user_id}/tasks/{key}", {
  params: { path: one, header: seen },
  body: { title: "Buy oat milk" },
});
const late = await client.PATCH("/api/{user_id}/tasks/{key}", {
  params: { path: one, header: seen },
  body: { title: "Buy soy milk" },
});
const putBack = await client.PUT("/api/{user_id}/tasks/{key}", {
  params: { path: one },
  body: { ...milk, completed: true },
});
// @ts-expect-error  not every error carries the task
void late.error?.current;

await client.PATCH("/api/{user_id}/tasks/{key}/complete", {
  params: { path: { ...path, key: plumber.id } },
  body: { completed: true },
});
await client.DELETE("/api/{user_id}/tasks/{key}", { params: { path: { ...path, key: letter.id } } });
const changes = present(
  (await client.GET("/api/{user_id}/changes", { params: { path, query: { since: milk.revision } } })).data,
  "no changes",
);

const named = { path: { ...path, key: "named-by-the-client" } };
const createOnly = { ...named, header: { "If-None-Match": "*" } };
await client.PUT("/api/{user_id}/tasks/{key}", { params: createOnly, body: { title: "Named" } });
const exists = await client.PUT("/api/{user_id}/tasks/{key}", { params: createOnly, body: { title: "Named again" } });
await client.DELETE("/api/{user_id}/tasks/{key}", { params: named });
const gone = await client.PATCH("/api/{user_id}/tasks/{key}", { params: named, body: { title: "Named late" } });

// @ts-expect-error  a body is an object
export const notABody: Schemas["TaskPut"] = 42;
// @ts-expect-error  a body has known members only
export const notAMember: Schemas["NewTask"] = { titel: "x" };
// @ts-expect-error  a priority is one of four
export const notAPriority: Schemas["Priority"] = "urgent";

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
