// Replicates a collection of RxDB with todo: writes by uid with `If-Match`, `/changes`, and `/events` as a wake.
import { deepEqual } from "rxdb";
import { replicateRxCollection } from "rxdb/plugins/replication";
import { Subject } from "rxjs";
import { keyOf, members, requests } from "./requests.mjs";
import { stream } from "./stream.mjs";

// The application makes `key`, by crypto.randomUUID(). `seen` is the task's `revision`, a name that RxDB reserves.
const key = { type: "string", maxLength: 128 };
const [seen, text, completed, tags, extra] = ["integer", ["string", "null"], "boolean", "array", "object"].map(
  (type) => ({ type }),
);
const properties = { key, seen, title: text, description: text, completed, priority: text, due_date: text, tags, extra };
export const schema = { version: 0, type: "object", primaryKey: "key", properties: { ...properties, position: text } };

const alive = (task) => ({ key: keyOf(task), seen: task.revision, ...members(task), _deleted: false });
const dead = (tombstone) => ({ key: keyOf(tombstone), seen: tombstone.revision, _deleted: true });

// A three-way merge: what this device changed stays, the other members are theirs. A deletion wins over both.
export const conflictHandler = {
  isEqual: (a, b) => a._deleted === b._deleted && (a._deleted || deepEqual(members(a), members(b))),
  async resolve({ assumedMasterState: base = {}, newDocumentState: mine, realMasterState: theirs }) {
    const changed = Object.entries(members(mine)).filter(([name, value]) => !deepEqual(value, base[name]));
    return theirs._deleted ? theirs : { ...theirs, ...Object.fromEntries(changed), _deleted: mine._deleted };
  },
};

// `options` are RxDB's own, for example `retryTime`.
export function replicate(collection, api, token, options) {
  const send = requests(api, token), wakes = new Subject(), stop = new AbortController();
  const wake = () => wakes.next("RESYNC");
  async function push({ newDocumentState: mine, assumedMasterState: base }) {
    const condition = base?.seen ? { "If-Match": `"${base.seen}"` } : { "If-None-Match": "*" };
    const change = mine._deleted ? ["DELETE"] : ["PUT", members(mine), condition];
    const answer = await send(change.shift(), `/tasks/${encodeURIComponent(mine.key)}`, ...change);
    if (answer.ok) return [];
    if (answer.status === 404 || answer.status === 410) return mine._deleted ? [] : [{ ...mine, _deleted: true }];
    const { current, error } = await answer.json();
    if (answer.status === 412) return [alive(current)];
    throw new Error(error); // RxDB sends it again later
  }
  async function handler(checkpoint, limit) {
    const answer = await send("GET", `/changes?since=${checkpoint?.revision ?? 0}&limit=${limit}`);
    const page = await answer.json();
    if (page.code === "resync") return withoutTheRest(await handler(undefined, limit));
    if (!answer.ok) throw new Error(page.error);
    return { documents: [...page.tasks.map(alive), ...page.deleted.map(dead)], checkpoint: { revision: page.revision } };
  }
  async function withoutTheRest({ documents, checkpoint }) {
    const known = new Set(documents.map((document) => document.key));
    const rest = (await collection.find().exec()).filter((one) => one.seen && !known.has(one.key));
    return { documents: [...documents, ...rest.map((one) => ({ ...one.toJSON(), _deleted: true }))], checkpoint };
  }
  const pushing = { handler: async (rows) => (await Promise.all(rows.map(push))).flat(), batchSize: 20 };
  const pull = { handler, batchSize: 1000, stream$: wakes };
  const replication = replicateRxCollection({ collection, replicationIdentifier: api, push: pushing, pull, ...options });
  replication.canceled$.subscribe((canceled) => canceled && stop.abort());
  replication.startPromise.then(() => stream(api, token, "", wake, wake, stop.signal)); // in the leading tab
  return replication;
}
