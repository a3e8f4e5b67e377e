import { createRxDatabase } from "rxdb";
import { getRxStorageMemory } from "rxdb/plugins/storage-memory";
import { conflictHandler, replicate, schema } from "./rxdb.mjs";

export async function open(number, api, token) {
  const database = await createRxDatabase({ name: `device${number}`, storage: getRxStorageMemory(), multiInstance: false });
  const { tasks } = await database.addCollections({ tasks: { schema, conflictHandler } });
  const replication = replicate(tasks, api, token, { retryTime: 50 });
  const one = (key) => tasks.findOne(key).exec();
  return {
    live: true,
    create: (key, task) => tasks.insert({ key, ...task }),
    edit: async (key, change) => (await one(key)).incrementalPatch(change),
    remove: async (key) => (await one(key)).incrementalRemove(),
    keys: async () => (await tasks.find().exec()).map((document) => document.key),
    all: async () => new Map((await tasks.find().exec()).map((document) => [document.key, document.toJSON()])),
    sync: () => replication.awaitInSync(),
    close: () => database.close(),
  };
}
