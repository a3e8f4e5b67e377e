// The copy of the user's tasks in IndexedDB, which all tabs share, and what belongs to it: the state of this browser.

import { committed, got } from "./outbox.js";

const STORES = ["tasks", "conflicts", "state", "outbox"];

// Returns the database of this name. Tasks and conflicts are kept by the key of the task.
export function open(name) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    for (const store of ["tasks", "conflicts", "state"]) request.result.createObjectStore(store);
    request.result.createObjectStore("outbox", { keyPath: "n", autoIncrement: true });
  };
  return got(request).then((db) => {
    db.onversionchange = () => (db.close(), location.reload()); // another tab forgets everything
    return db;
  });
}

// Forgets everything that this browser has of the user.
export const forget = (db) => (db.close(), got(indexedDB.deleteDatabase(db.name)));

// Does `work` in one transaction: all of it is stored, or nothing.
export function transact(db, work) {
  const transaction = db.transaction(STORES, "readwrite");
  work((name) => transaction.objectStore(name));
  return committed(transaction);
}

// Returns everything, as of one moment.
export async function load(db) {
  const transaction = db.transaction(STORES);
  const all = (name) => got(transaction.objectStore(name).getAll());
  const keys = (name) => got(transaction.objectStore(name).getAllKeys());
  const [tasks, conflicts, conflicted, state, names, writes] = await Promise.all([
    all("tasks"), all("conflicts"), keys("conflicts"), all("state"), keys("state"), all("outbox"),
  ]);
  return {
    tasks: new Map(tasks.map((task) => [keyOf(task), task])),
    conflicts: new Map(conflicted.map((key, at) => [key, conflicts[at]])),
    writes,
    ...Object.fromEntries(names.map((name, at) => [name, state[at]])),
  };
}

// Returns one value of the state: `since`, `offline` or `link`.
export const read = (db, name) => got(db.transaction("state").objectStore("state").get(name));

export const keyOf = ({ uid, id }) => uid ?? id;

// Stores a page of /changes and the revision that it leads to. `whole`: it is everything, and replaces the copy.
export const applyPage = (db, page, whole) =>
  transact(db, (store) => {
    if (whole) store("tasks").clear();
    if (whole) forgetIds(store("outbox")); // if the data was begun anew, an id may be another task's by now
    for (const task of page.tasks) newer(store, task, (tasks, key) => tasks.put(task, key));
    for (const gone of page.deleted) newer(store, gone, (tasks, key) => tasks.delete(key));
    store("state").put(page.revision, "since");
  });

const forgetIds = (outbox) =>
  (outbox.openCursor().onsuccess = ({ target: { result: cursor } }) => {
    if (typeof cursor?.value.key === "number") cursor.delete();
    cursor?.continue();
  });

// Stores the task of an answer, unless a page has brought what came after it: then the page knew better.
export function applyAnswer(store, task) {
  store("state").get("since").onsuccess = ({ target }) => {
    if (task.revision > (target.result ?? 0)) newer(store, task, (tasks, key) => tasks.put(task, key));
  };
}

// Makes the change unless the copy has a later revision of the task already.
function newer(store, one, change) {
  const [tasks, key] = [store("tasks"), keyOf(one)];
  tasks.get(key).onsuccess = ({ target }) => {
    if (!(target.result?.revision > one.revision)) change(tasks, key);
  };
}
