// Three devices of one user: four rounds of changes made offline, then online over a network that loses requests and
// answers, until all equal the list. Prints what a test looks at.
import { setTimeout as sleep } from "node:timers/promises";

const [program, origin, token, seed = `${Date.now()}`] = process.argv.slice(2);
const api = `${origin}/api/me`;
const MEMBERS = ["title", "description", "completed", "priority", "tags", "extra"];

let state = [...seed].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) >>> 0, 7);
function random() { // mulberry32
  let t = (state = (state + 0x6d2b79f5) >>> 0);
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const any = (list) => list[Math.floor(random() * list.length)];

// Pauses of the clients are a tenth as long.
const { setTimeout: later } = globalThis;
globalThis.setTimeout = (call, delay, ...rest) => later(call, delay / 10, ...rest);

const real = globalThis.fetch;
const network = { online: true, cut: new AbortController(), requests: 0, lost: 0, resyncs: { changes: 0, events: 0 } };
const due = { changes: 0, events: 0 };
globalThis.fetch = async (url, how) => {
  if (!network.online) throw new TypeError("offline");
  network.requests += 1;
  const kind = /(changes|events)[^]*since=[1-9]/.exec(url)?.[1];
  if (due[kind]) {
    due[kind] -= 1;
    network.resyncs[kind] += 1;
    return forgotten[kind]();
  }
  if (url.includes("/events")) return real(url, { ...how, signal: AbortSignal.any([how.signal, network.cut.signal]) });
  if (random() < 0.05) return lose("the request");
  const response = await real(url, how);
  const firstOfAChange = network.lost === 0 && (how?.method ?? "GET") !== "GET";
  return firstOfAChange || random() < 0.1 ? lose("the response") : response;
};
// What the service says where a device was away for longer than deletions are remembered.
const forgotten = {
  changes: () => Response.json({ error: "drop the copy", code: "resync" }, { status: 410 }),
  events: async () => {
    const { revision } = await (await real(`${api}/changes`, { headers: { Authorization: `Bearer ${token}` } })).json();
    return new Response(`event: resync\nid: ${revision}\ndata: {"revision":${revision}}\n\n`);
  },
};
function lose(what) {
  network.lost += 1;
  throw new TypeError(`${what} was lost`);
}

async function listed() {
  const response = await real(`${api}/tasks`, { headers: { Authorization: `Bearer ${token}` } });
  return new Map((await response.json()).map((task) => [task.uid, task]));
}

const values = {
  title: (name) => name,
  description: (name) => `about ${name}`,
  completed: () => random() < 0.5,
  priority: () => any(["none", "low", "medium", "high"]),
  tags: (name) => [name],
  extra: (name) => ({ by: name }),
};

const { open } = await import(`./${program}_device.mjs`);
const devices = [];
for (let number = 0; number < 3; number += 1) devices.push(await open(number, api, () => token));

// What each member of each task may be in the end: what a device set it to last in the last round that changed it.
const expected = new Map();
const deleted = new Set();
let operations = 0;

for (let round = 0; round < 4; round += 1) {
  network.online = false;
  network.cut.abort();
  const written = new Map();
  for (const [number, device] of devices.entries()) {
    const own = new Map();
    for (let count = 0; count < 17; count += 1, operations += 1) {
      const alive = await device.keys();
      const name = `${round}.${number}.${count}`;
      const chance = random();
      if (chance < 0.35 || !alive.length) {
        const key = crypto.randomUUID();
        const task = { title: name, description: null, completed: false, priority: "none", tags: [], extra: {} };
        await device.create(key, task);
        own.set(key, { ...task });
      } else if (chance < 0.9) {
        const key = any(alive), member = any(MEMBERS), value = values[member](name);
        await device.edit(key, { [member]: value });
        own.set(key, { ...own.get(key), [member]: value });
      } else {
        const key = any(alive);
        await device.remove(key);
        deleted.add(key);
      }
    }
    for (const [key, changes] of own) {
      const all = written.get(key) ?? written.set(key, {}).get(key);
      for (const [member, value] of Object.entries(changes)) (all[member] ??= []).push(value);
    }
  }
  for (const [key, changes] of written) expected.set(key, { ...expected.get(key), ...changes });
  network.online = true;
  network.cut = new AbortController();
  if (round === 2) due.changes = due.events = devices.length;
  await converged();
}

// Until every device has what the list has.
async function converged() {
  const until = Date.now() + 60_000;
  for (;;) {
    await Promise.all(devices.map((device) => device.sync()));
    const list = await listed();
    const texts = await Promise.all(devices.map(async (device) => text(await device.all())));
    if (texts.every((one) => one === text(list))) return;
    if (Date.now() > until) throw new Error(`never alike:\n${[text(list), ...texts].join("\n")}`);
    await sleep(50);
  }
}
function text(tasks) {
  const rows = [...tasks].map(([key, task]) => [key, ...MEMBERS.map((member) => task[member])]);
  return JSON.stringify(rows.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const list = await listed();
const lost = [];
for (const [key, changes] of expected) {
  const task = list.get(key);
  if (!task !== deleted.has(key)) lost.push([key, "there", !!task]);
  for (const [member, possible] of Object.entries(task ? changes : {})) {
    if (!possible.some((value) => JSON.stringify(value) === JSON.stringify(task[member]))) {
      lost.push([key, member, task[member], possible]);
    }
  }
}
const titles = [...list.values()].map((task) => task.title);
console.log(JSON.stringify({
  operations, tasks: list.size, strangers: [...list.keys()].filter((key) => !expected.has(key)), lost,
  doubled: titles.length - new Set(titles).size, dropped: network.lost,
  requests: network.requests, resyncs: network.resyncs,
}));
for (const device of devices) await device.close();
process.exit();
