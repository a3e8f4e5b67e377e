import { createCollection } from "@tanstack/db";
import { todoCollectionOptions } from "./tanstack-db.mjs";

export async function open(number, api, token) {
  const collection = createCollection(todoCollectionOptions(api, token, { id: `device${number}`, pause: 50 }));
  await collection.preload();
  let saving = [];
  const saved = (transaction) => saving.push(transaction.isPersisted.promise);
  return {
    live: true,
    create: (uid, task) => saved(collection.insert({ uid, ...task })),
    edit: (key, change) => saved(collection.update(key, (draft) => Object.assign(draft, change))),
    remove: (key) => saved(collection.delete(key)),
    keys: () => [...collection.keys()],
    all: () => new Map(collection.entries()),
    async sync() {
      await Promise.allSettled(saving);
      saving = [];
    },
    close: () => collection.cleanup(),
  };
}
