import "fake-indexeddb/auto";

const { default: Dexie } = await import("dexie");
const { change, pull, push, stores } = await import("./dexie-outbox.mjs");

export async function open(number, api, token) {
  const db = new Dexie(`device${number}`), refused = [];
  db.version(1).stores(stores);
  async function send(method, path, body) {
    const headers = { Authorization: `Bearer ${token()}`, ...(body && { "Content-Type": "application/json" }) };
    return fetch(`${api}/${path}`, { method, headers, body: body && JSON.stringify(body) }).catch(() => null);
  }
  return {
    create: (key, task) => change(db, "put", key, task),
    edit: (key, members) => change(db, "patch", key, members),
    remove: (key) => change(db, "delete", key),
    keys: () => db.tasks.toCollection().primaryKeys(),
    all: async () => new Map((await db.tasks.toArray()).map((task) => [task.key, task])),
    async sync() {
      while ((await push(db, send, (...refusal) => refused.push(refusal))) !== null || !(await pull(db, send)));
      const wrong = refused.filter(([, { code }]) => code !== "gone"); // another device deleted the task
      if (wrong.length) throw new Error(JSON.stringify(wrong));
    },
    close: () => db.close(),
  };
}
