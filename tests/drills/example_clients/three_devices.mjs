// Three devices edit one user's tasks offline, with the Dexie outbox, while requests and answers are lost.
import "fake-indexeddb/auto";
import Dexie from "dexie";
import { change, pull, push, stores } from "./dexie-outbox.mjs";

const [api, token, seed] = process.argv.slice(2);
let state = Number(seed);
const random = (limit) => (state = (state * 48271) % 2147483647) % limit;
const counted = { requests: 0, lost: 0, refused: [] };

async function real(method, path, body) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  return fetch(`${api}/${path}`, { method, headers, body: body && JSON.stringify(body) });
}

// Every twentieth request is lost, and every tenth answer.
async function send(...request) {
  counted.requests += 1;
  if (random(20) === 0) return (counted.lost += 1), null;
  const answer = await real(...request);
  return random(10) === 0 ? ((counted.lost += 1), null) : answer;
}

const devices = await Promise.all(["a", "b", "c"].map(async (name) => {
  const db = new Dexie(name);
  db.version(1).stores(stores);
  return { name, db, ticked: [] };
}));
const created = new Set();
const deleted = new Set();
const edits = []; // the key, and the member that the edit sets

async function edit({ name, db }, number) {
  const keys = await db.tasks.toCollection().keys();
  const key = keys[random(Math.max(keys.length, 1))];
  const kind = random(10);
  if (kind < 4 || key === undefined) {
    const uid = `${name}-task-${number}`.padEnd(12, "-");
    created.add(uid);
    await change(db, "put", uid, { title: uid });
  } else if (kind < 9) {
    edits.push([key, `${name}${number}`]); // a member of its own, so no edit may be lost
    await change(db, "patch", key, { extra: { [`${name}${number}`]: true } });
  } else {
    deleted.add(key);
    await change(db, "delete", key);
  }
}

async function until(work) {
  while (!(await work()));
}

const refused = (operation, result) => counted.refused.push(result.code);
let number = 0;
for (let round = 0; round < 4; round++) {
  for (let step = 0; step < 50; step++) await edit(devices[random(3)], number++);
  for (const { db } of devices) await until(async () => (await push(db, send, refused)) === null);
  for (const { db } of devices) await until(() => pull(db, send));
}

const listed = await (await real("GET", "tasks?sort=id")).json();
const copies = await Promise.all(devices.map(({ db }) => db.tasks.toArray()));
const shape = (tasks) => JSON.stringify(tasks.map(({ key, ...task }) => task).sort((one, other) => one.id - other.id));
console.log(JSON.stringify({
  same: copies.every((copy) => shape(copy) === shape(listed)),
  missing: [...created].filter((uid) => !deleted.has(uid) && !listed.some((task) => task.uid === uid)),
  undone: edits.filter(([key, member]) => listed.some((task) => task.uid === key && !task.extra[member])),
  doubled: listed.length - new Set(listed.map((task) => task.uid)).size,
  risen: listed.filter((task) => deleted.has(task.uid)).length,
  refused: [...new Set(counted.refused)],
  lost: counted.lost > 0,
  waiting: (await Promise.all(devices.map(({ db }) => db.outbox.count()))).reduce((sum, one) => sum + one),
}));
