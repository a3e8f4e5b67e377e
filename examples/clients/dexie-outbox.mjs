// A copy of the tasks and an outbox in Dexie: a change is shown at once and sent in a batch when there is a network.
//
// Make the database with db.version(1).stores(stores). `send(method, path, body)` is your fetch with the token, or null.
export const stores = { tasks: "key", outbox: "++n, key", state: "" };

const inOne = (db, work) => db.transaction("rw", db.tasks, db.outbox, db.state, work);
// Shows and queues a change. `op` is "put" (a new task, under a key of your making), "patch" or "delete".
export const change = (db, op, key, task) =>
  inOne(db, async () => {
    if (op === "delete") await db.tasks.delete(key);
    else await db.tasks.put({ ...(await db.tasks.get(key)), ...task, key });
    await db.outbox.add({ op, key, ...(task && { task }), ...(op === "put" && { create_only: true }) });
  });

// Sends what waits. Returns null when nothing is left, else the seconds to wait. `refused(operation, result)`: show it.
export async function push(db, send, refused) {
  for (let waiting; (waiting = await db.outbox.limit(100).toArray()).length; ) {
    const answer = await send("POST", "batch", { operations: waiting.map(({ n, ...operation }) => operation) });
    if (!answer?.ok) return Number(answer?.headers.get("Retry-After") ?? 3);
    const { results } = await answer.json();
    await inOne(db, async () => {
      await db.outbox.bulkDelete(waiting.map(({ n }) => n));
      for (const [at, result] of results.entries()) {
        const { op, key } = waiting[at];
        const gone = [404, 410].includes(result.status);
        const done = result.status < 300 || result.code === "exists" || (gone && op === "delete");
        if (!done) refused(waiting[at], result);
        if (await db.outbox.where({ key }).count()) continue; // what still waits for the task is newer
        const task = result.task ?? result.current;
        if (task) await db.tasks.put({ ...task, key });
        else if (gone || op === "delete") await db.tasks.delete(key);
      }
    });
  }
  return null;
}

// Brings the copy up to date, after a push. Returns whether it is; `wait` seconds for a change if there is none.
export async function pull(db, send, wait = 0) {
  for (;;) {
    const since = await db.state.get("since");
    const query = since === undefined ? "" : `?since=${since}${wait ? `&wait=${wait}` : ""}`;
    const answer = await send("GET", `changes${query}`);
    if (answer?.status === 410) await db.state.delete("since"); // the history is gone: everything anew
    else if (!answer?.ok) return false;
    else if (!(await apply(db, await answer.json(), since === undefined))) return true;
  }
}

const apply = (db, { tasks, deleted, revision, has_more }, whole) =>
  inOne(db, async () => {
    const waiting = await db.outbox.orderBy("key").uniqueKeys();
    const settled = ({ key }) => !waiting.includes(key); // the answer to what waits brings the others
    const keyed = (list) => list.map((one) => ({ ...one, key: one.uid ?? String(one.id) })).filter(settled);
    if (whole) await db.tasks.where("key").noneOf(waiting).delete();
    await db.tasks.bulkPut(keyed(tasks));
    await db.tasks.bulkDelete(keyed(deleted).map(({ key }) => key));
    await db.state.put(revision, "since");
    return has_more;
  });
