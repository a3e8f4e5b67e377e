// What the page shows: the copy of the tasks with the outbox replayed on it, as of the last look at the database.
import { keyOf, load } from "./database.js";
import { byPlace } from "./order.js";
import { replay } from "./outbox.js";
import { drawTrash } from "./trash.js";
import { arrange, fillRow, fold, makeRow } from "./rows.js";

export const at = (selector) => document.querySelector(selector);

const LINKS = {
  live: "Live",
  waiting: "Live, without a stream",
  offline: "Offline",
  unreachable: "The service cannot be reached",
  stopped: "Stopped: reload the page",
};

const fresh = { description: null, completed: false, priority: "none", due_date: null, tags: [], position: null };
const rows = new Map();

// `tasks` are all of them, in the user's order; `state` is what the database holds beside them.
export const board = { session: null, db: null, act: null, tasks: [], state: { conflicts: new Map(), writes: [] } };

let drawing = Promise.resolve();
let wanted = false;

// Shows the database as it is now; returns once it does. Calls that come while it draws share one more drawing.
export function draw() {
  if (!wanted) drawing = drawing.catch(() => {}).then(redraw); // what failed has been reported by its own promise
  wanted = true;
  return drawing;
}

async function redraw() {
  wanted = false;
  if (at("#list").dataset.dragging !== undefined) return; // drawn after the drop
  const known = new Set(board.state.conflicts.keys());
  board.state = await load(board.db);
  board.tasks = [...replay(board.state.tasks, board.state.writes, fresh).values()].sort(byPlace);
  show();
  if (location.hash === "#/trash") await drawTrash(board);
  const added = [...board.state.conflicts.keys()].some((key) => !known.has(key));
  if (added) announce("A title was changed elsewhere, too: choose which one stays");
}

// Read out by screen readers.
export const announce = (text) => (at("#announcer").textContent = text);

function show() {
  const { state, tasks } = board;
  const tag = at("#tag").value;
  const keys = new Set(tasks.map(keyOf));
  for (const [key, row] of rows) if (!row.editing && !keys.has(key)) rows.delete(key);
  const search = at("#search").value.trim();
  const shown = tasks.filter(chosen(location.hash.slice(2), fold(tag), fold(search))).map((task) => {
    const key = keyOf(task);
    if (!rows.has(key)) rows.set(key, makeRow(key, board.act));
    fillRow(rows.get(key), task, state.conflicts.get(key));
    return rows.get(key);
  });
  const edited = [...rows.values()].filter((row) => row.editing && !shown.includes(row));
  arrange(at("#list"), [...shown, ...edited]); // what is being typed is not lost
  drawTags(tag);
  at("#list").hidden = at("#summary").hidden = location.hash === "#/trash";
  at("#trash").hidden = location.hash !== "#/trash";
  at("#all").checked = tasks.length > 0 && tasks.every((task) => task.completed);
  at("#clear").hidden = !tasks.some((task) => task.completed);
  const left = tasks.filter((task) => !task.completed).length;
  at("#count").textContent = `${left} ${left === 1 ? "item" : "items"} left`;
  for (const link of document.querySelectorAll("nav a")) {
    link.ariaCurrent = link.hash === (location.hash || "#/") ? "page" : null;
  }
  at("#waiting").textContent = state.writes.length ? `${state.writes.length} to send` : "";
  at("#status").dataset.link = state.link;
  const link = LINKS[state.link] ?? "Connecting";
  if (at("#status").textContent !== link) at("#status").textContent = link; // read out once
  at("#offline").checked = Boolean(state.offline);
  at("#problem").hidden = !state.problem;
  at("#problem span").textContent = state.problem ?? "";
}

const chosen = (filter, tag, search) => (task) =>
  (filter === "" || task.completed === (filter === "completed")) &&
  (!tag || task.tags.some((one) => fold(one) === tag)) &&
  fold([task.title, task.description ?? "", ...task.tags].join("\n")).includes(search);

function drawTags(tag) {
  const names = new Map(board.tasks.flatMap((task) => task.tags).map((name) => [fold(name), name]));
  if (tag) names.set(fold(tag), tag);
  const options = [...names.values()].sort().map((name) => new Option(name));
  at("#tag").replaceChildren(new Option("All tags", ""), ...options);
  at("#tag").value = tag;
}
