// Writes that wait for the network, in IndexedDB, and are sent in their order. No imports: copy this file.
//
// The database needs a store for them: db.createObjectStore("outbox", { keyPath: "n", autoIncrement: true }).
// One tab at a time may call drain(): hold a Web Lock.

// Returns a write to put into the store.
// `op` is "create", "edit", "delete" or "restore", `key` the task's uid, or its id where it has none.
// `task` has the members to write, for "restore" all of them, as they were.
// An edit of text goes on from what was there: `base` has the members as they were, and `seen` the revision they had.
// It is refused if somebody else has changed the same members. Without both, the last writer wins.
export const write = (op, key, task = {}, base = null, seen = null) => ({
  op, key, task, base, seen, once: crypto.randomUUID(),
});

// Returns the tasks, a Map by key, as they are once the writes are done. `fresh` has the members of a new task.
export function replay(tasks, writes, fresh) {
  const shown = new Map(tasks);
  for (const { op, key, task } of writes) {
    if (op === "delete") shown.delete(key);
    else if (op === "restore") shown.set(key, task);
    else if (op === "create" && !shown.has(key)) shown.set(key, { ...fresh, ...task, uid: key });
    else if (op === "edit" && shown.has(key)) shown.set(key, { ...shown.get(key), ...task });
  }
  return shown;
}

// Sends what waits. Returns null when nothing is left, else the seconds to wait before the next call.
// `send(method, path, body, headers)` is your fetch with the token; it returns null where there is no network.
// `settle(transaction, write, verdict, answer)` is called in the transaction that removes the write:
//   "done"      the service has it; answer.task or answer.current, if there is one, is the task as it is now
//   "conflict"  somebody else changed the same members: ask the user; answer.current is the task as it is now
//   "refused"   it cannot be done: show answer.error
export async function drain(db, send, settle, signal) {
  while (!signal.aborted) {
    const waiting = await got(db.transaction("outbox").objectStore("outbox").getAll(null, 100));
    if (waiting.length === 0) return null;
    const alone = waiting.findIndex(({ op }) => op === "restore"); // a batch has no such operation
    const { seconds, answers } = await deliver(waiting.slice(0, alone < 0 ? 100 : alone || 1), send);
    if (seconds) return seconds;
    const transaction = db.transaction(db.objectStoreNames, "readwrite");
    const stored = committed(transaction);
    const box = transaction.objectStore("outbox");
    const left = []; // to be sent again: those that later ones of the same task build on come first
    for (const [at, answer] of answers.entries()) {
      const one = waiting[at];
      const before = left.filter(({ key }) => key === one.key);
      const verdict = answer.code === "stale" && before.length ? "again" : judge(one, answer);
      if (verdict === "again") left.push(one), box.put({ ...one, seen: answer.current.revision });
      else box.delete(one.n), settle(transaction, one, verdict, answer);
      if (verdict === "done" && one.op === "delete") before.forEach(({ n }) => box.delete(n));
    }
    await stored;
  }
  return null;
}

// Sends the writes, several in one batch. Returns the answer to each, or the seconds to wait before the next attempt.
async function deliver(writes, send) {
  const one = writes.length === 1;
  const answer = await (one ? request(writes[0], send) : send("POST", "batch", { operations: writes.map(operation) }));
  const body = await answer?.json().catch(() => null);
  const known = answer?.status === 204 || body?.code || body?.revision || body?.results; // not a proxy's or a portal's
  if (!known || answer.status === 429 || answer.status >= 500) {
    return { seconds: Number(answer?.headers.get("Retry-After")) || 3 };
  }
  if (one) return { answers: [answer.ok ? { status: answer.status, task: body } : { ...body, status: answer.status }] };
  return body?.results ? { answers: body.results } : deliver(writes.slice(0, 1), send); // refused whole: one by one
}

// Both can be sent again: a create only creates, an edit has an Idempotency-Key or sets what is set already.
function request({ op, key, task, seen, once }, send) {
  const path = `tasks/${encodeURIComponent(key)}`;
  const guard = seen === null ? {} : { "If-Match": `"${seen}"` };
  if (op === "create") return send("PUT", path, task, { "If-None-Match": "*" });
  if (op === "edit") return send("PATCH", path, task, { "Idempotency-Key": once, ...guard });
  return op === "delete" ? send("DELETE", path) : send("POST", path.replace("tasks", "trash") + "/restore");
}

function operation({ op, key, task, seen }) {
  if (op === "create") return { op: "put", key, create_only: true, task };
  if (op === "edit") return { op: "patch", key, task, ...(seen !== null && { if_match: seen }) };
  return { op: "delete", key };
}

// Returns what becomes of a write. "again": what somebody else changed are other members, so it goes on from there.
function judge({ op, task, base }, answer) {
  if (answer.status < 300) return "done";
  if (op === "delete" && [404, 410].includes(answer.status)) return "done";
  const { code, current } = answer;
  if (!["exists", "stale"].includes(code)) return "refused";
  const open = code === "stale" ? Object.keys(task).filter((name) => !same(task[name], current[name])) : [];
  if (open.length === 0) return "done";
  return open.every((name) => same(base[name], current[name])) ? "again" : "conflict";
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export const got = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

export const committed = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
