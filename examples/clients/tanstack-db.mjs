// The options of a TanStack DB collection that todo keeps: one batch for each transaction, and `/events` for the rest.
// A row is a task; `uid` is its key, made by crypto.randomUUID(). Transactions are sent in order; offline, later.
import { keyOf, members, requests } from "./requests.mjs";
import { stream } from "./stream.mjs";

const operationOf = ({ type, key, modified, changes }) => {
  if (type === "insert") return { op: "put", key, create_only: true, task: members(modified) };
  return type === "update" ? { op: "patch", key, task: members(changes) } : { op: "delete", key };
};
// Creating what is there and deleting what is gone are done: the answer to an earlier sending was lost.
const isDone = ({ op }, { status, code }) => status < 300 || code === "exists" || (op === "delete" && status !== 412);

export function todoCollectionOptions(api, token, settings = {}) {
  const { pause = 1000, ...options } = settings, send = requests(api, token), revisions = new Map();
  let store, saved = Promise.resolve();

  // Keeps what the service says; an answer and the stream may say the same, in either order.
  function apply({ tasks = [], deleted = [] }, whole = false) {
    store.begin();
    if (whole) store.truncate(), revisions.clear();
    for (const task of tasks) {
      const key = keyOf(task), known = revisions.get(key);
      if (known >= task.revision) continue;
      store.write({ type: known ? "update" : "insert", value: task });
      revisions.set(key, task.revision);
    }
    for (const key of deleted.map(keyOf)) if (revisions.delete(key)) store.write({ type: "delete", key });
    store.commit();
  }
  // Sends what may be sent twice until it is answered, through a token that has expired, too.
  async function answered(...request) {
    for (;;) {
      const answer = await send(...request).catch(() => null);
      const body = await answer?.json().catch(() => null);
      if (body && answer.ok) return body;
      if (body && answer.status < 500 && ![401, 408, 429].includes(answer.status)) throw new Error(body.error);
      await new Promise((done) => setTimeout(done, 1000 * answer?.headers.get("Retry-After") || pause));
    }
  }
  async function save(mutations) {
    for (let begin = 0; begin < mutations.length; begin += 100) {
      const operations = mutations.slice(begin, begin + 100).map(operationOf);
      const { results } = await answered("POST", "/batch", { operations });
      const gone = operations.filter((one, place) => one.op === "delete" && isDone(one, results[place]));
      const tasks = results.flatMap(({ task, current }) => task ?? current ?? []);
      apply({ tasks, deleted: gone.map(({ key }) => ({ uid: key })) });
      const failed = results.find((one, place) => !isDone(operations[place], one));
      if (failed) throw new Error(failed.error); // TanStack DB takes back what it showed
    }
  }
  const handler = ({ transaction }) => (saved = saved.catch(() => {}).then(() => save(transaction.mutations)));
  const whole = () => answered("GET", "/changes").then((page) => (apply(page, true), store.markReady(), page.revision));
  function sync(given) {
    const stop = new AbortController();
    store = given;
    whole().then((since) => stream(api, token, since, apply, whole, stop.signal)).catch(given.markError);
    return () => stop.abort();
  }
  return { ...options, getKey: (task) => keyOf(task), sync: { sync }, onInsert: handler, onUpdate: handler, onDelete: handler };
}
