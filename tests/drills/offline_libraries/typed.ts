// The adapters in a TypeScript project with `allowJs`: compiled strictly, not run.
import { createCollection } from "@tanstack/db";
import Dexie from "dexie";
import { createRxDatabase } from "rxdb";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { change, pull, push, stores } from "./dexie-outbox.mjs";
import { requests } from "./requests.mjs";
import { conflictHandler, replicate, schema } from "./rxdb.mjs";
import { todoCollectionOptions } from "./tanstack-db.mjs";

const token = async () => "token";

export async function rxdb() {
  const database = await createRxDatabase({ name: "todo", storage: getRxStorageMemory() });
  const { tasks } = await database.addCollections({ tasks: { schema, conflictHandler } });
  await tasks.insert({ key: crypto.randomUUID(), title: "Buy milk", completed: false });
  return replicate(tasks, "https://todo.example.com/api/me", token);
}

export function tanstack() {
  const options = todoCollectionOptions("https://todo.example.com/api/me", token, { id: "tasks" });
  const tasks = createCollection(options);
  tasks.insert({ uid: crypto.randomUUID(), title: "Buy milk", completed: false });
  return tasks;
}

export async function dexie() {
  const db = new Dexie("todo of ann");
  db.version(1).stores(stores);
  const request = requests("https://todo.example.com/api/me/", token);
  const send = (...parts: Parameters<typeof request>) => request(...parts).catch(() => null);
  await change(db, "put", crypto.randomUUID(), { title: "Buy milk", completed: false });
  await change(db, "delete", "made-elsewhere");
  const seconds: number | null = await push(db, send, console.warn);
  return seconds === null && pull(db, send);
}
