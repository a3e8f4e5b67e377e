// A copy of the tasks and an outbox in Dexie: a change is shown at once and sent in a batch when there is a network.
// Make the database with db.version(1).stores(stores). `send(method, path, body)` is your fetch with the token, or null.
export const stores = { tasks: "key", outbox: "++n, key", state: "" };
const inOne = (db, work) => db.transaction("rw", db.tasks, db.outbox, db.state, work);

// Shows and queues a change. `op` is "put" (a new task, under a uid of your making), "patch" or "delete".
export const change = (db, op, key, task) =>
  inOne(db, async () => {
    if (op === "delete") await db.tasks.delete(key);
    else await db.tasks.put({ ...(await db.tasks.get(key)), ...task, key });
    await db.outbox.add({ op, key, ...(task && { task }), ...(op === "put" && { create_only: true }) });
  });

// Sends what waits, in one tab at a time. Returns null when nothing is left, else the seconds to wait.
// `refused(operation, result)`: show it. The next pull takes back what the copy shows of it.
export const push = (db, send, refused) =>
  navigator.locks.request(db.name, async () => {
    for (let most = 100, waiting; (waiting = await db.outbox.limit(most).toArray()).length; ) {
      const answer = await send("POST", "batch", { operations: waiting.map(({ n, ...operation }) => operation) });
      const body = await answer?.json().catch(() => null), whole = [400, 413].includes(answer?.status);
      if (!body?.results && !whole) return Number(answer?.headers.get("Retry-After")) || 3;
      if (whole && (most = waiting.length >> 1)) continue; // a key is no uid, or they are too long together: fewer
      most = Math.min(2 * most, 100) || 1;
      await inOne(db, async () => {
        await db.outbox.bulkDelete(waiting.map(({ n }) => n));
        for (const [at, result] of (body?.results ?? [{ status: answer.status, ...body }]).entries()) {
          const { op, key } = waiting[at], task = result.task ?? result.current, gone = [404, 410].includes(result.status);
          const done = result.status < 300 || result.code === "exists" || (gone && op === "delete");
          if (!done) refused(waiting[at], result);
          if (!done && !gone && !task) await db.state.delete("since"); // the copy is read anew
          if (await db.outbox.where({ key }).count()) continue; // what still waits for the task is newer
          if (task) await db.tasks.put({ ...task, key });
          else if (gone || op === "delete") await db.tasks.delete(key);
        }
      });
    }
    return null;
  });

// Brings the copy up to date, after a push. Returns whether it is; `wait` seconds for a change if there is none.
export async function pull(db, send, wait = 0) {
  for (;;) {
    const since = await db.state.get("since");
    const query = since === undefined ? "" : `?since=${since}${wait ? `&wait=${wait}` : ""}`;
    const answer = await send("GET", `changes${query}`);
    const page = answer?.ok && (await answer.json().catch(() => null));
    if (answer?.status === 410) await db.state.delete("since"); // the history is gone: everything anew
    else if (!page || !(await apply(db, page, since))) return !!page;
  }
}
const apply = (db, { tasks, deleted, revision, has_more }, since) =>
  inOne(db, async () => {
    if ((await db.state.get("since")) !== since) return true; // a push or another tab was faster: once more
    const busy = await db.outbox.orderBy("key").uniqueKeys(); // the answer to what waits brings these
    const keyed = (all) => all.map((one) => ({ ...one, key: one.uid ?? `${one.id}` })).filter((one) => !busy.includes(one.key));
    if (since === undefined) await db.tasks.where("key").noneOf(busy).delete();
    await db.tasks.bulkPut(keyed(tasks));
    await db.tasks.bulkDelete(keyed(deleted).map(({ key }) => key));
    return db.state.put(revision, "since").then(() => has_more);
  });
