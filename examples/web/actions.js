// What the user can do: each action becomes writes in the outbox, and is shown at once.
import { announce, at, board, draw } from "./board.js";
import { applyAnswer, keyOf } from "./database.js";
import { between, placed } from "./order.js";
import { write } from "./outbox.js";

// Returns the actions, which change the database through `live`.
export function actions(live) {
  const queue = (...writes) => live.change((store) => writes.forEach((one) => store("outbox").add(one)));
  const act = {
    add(title) {
      if (!title) return;
      const last = board.tasks.findLast((task) => task.position !== null);
      queue(write("create", crypto.randomUUID(), { title, position: between(last?.position ?? null, null) }));
    },
    set: (key, completed) => queue(write("edit", key, { completed })),
    // Saves what an edit made of `base`, the task as it was when the edit began.
    edit(key, base, title, tags) {
      if (!title) return act.remove(key);
      const writes = [];
      const { revision = null } = base;
      if (title !== base.title) writes.push(write("edit", key, { title }, { title: base.title }, revision));
      if (JSON.stringify(tags) !== JSON.stringify(base.tags)) writes.push(write("edit", key, { tags }));
      if (writes.length) queue(...writes);
    },
    setAll: (completed) => act.each((task) => task.completed !== completed, "edit", { completed }),
    remove: (key) => act.discard((task) => keyOf(task) === key),
    clear: () => act.discard((task) => task.completed),
    // Moves tasks to the trash, and offers to take them back.
    discard(which) {
      const gone = board.tasks.filter(which);
      if (gone.length) offerUndo(gone, () => act.restore(gone));
      act.each(which, "delete");
    },
    each: (which, op, task) => queue(...board.tasks.filter(which).map((one) => write(op, keyOf(one), task))),
    restore: (tasks) => queue(...tasks.map((task) => write("restore", keyOf(task), task))),
    // Moves a task by so many places among those that are shown.
    move: inTurn(async (key, by) => {
      const shown = [...at("#list").children];
      const from = shown.findIndex((row) => row.key === key);
      const to = Math.min(Math.max(from + by, 0), shown.length - 1);
      if (to === from) return;
      announce(`${shown[from].task.title}: place ${to + 1} of ${shown.length}`);
      await queue(...moves(shown[from], shown[by > 0 ? to + 1 : to]));
    }),
    // Puts a row before another (null: at the end), or shows it again where it was.
    drop: inTurn((row, next) => (next === undefined ? draw() : queue(...moves(row, next)))),
    tag(tag) {
      at("#tag").value = tag;
      draw();
    },
    offline: (on) => live.change((store) => store("state").put(on, "offline")),
    dismiss: () => live.change((store) => store("state").delete("problem")),
    // Ends a conflict: the user's title stays, or the one that is there.
    settle(key, mine) {
      const { title, revision } = board.state.tasks.get(key);
      const edit = write("edit", key, board.state.conflicts.get(key), { title }, revision);
      live.change((store) => (store("conflicts").delete(key), mine && store("outbox").add(edit)));
    },
  };
  return act;
}

// Stores what became of a write, in the transaction that removes it from the outbox.
export function settled(transaction, { op, key, task }, verdict, answer) {
  const store = (name) => transaction.objectStore(name);
  if (answer.task ?? answer.current) applyAnswer(store, answer.task ?? answer.current);
  if (verdict === "done" && op === "delete") store("tasks").delete(key);
  if (verdict === "conflict") store("conflicts").put(task, key);
  if (verdict === "refused") {
    store("state").put(`${task.title ?? "A change"} was not saved: ${answer.error}`, "problem");
  }
}

function offerUndo(tasks, undo) {
  at("#undo span").textContent = `${tasks.length === 1 ? tasks[0].title : `${tasks.length} tasks`}: in the trash.`;
  at("#undo button").onclick = () => ((at("#undo").hidden = true), undo());
  at("#undo").hidden = false;
}

// Returns the writes that put the task of a row before that of another, or after all that are shown.
function moves(row, next) {
  const { tasks } = board;
  const index = (one) => tasks.findIndex((task) => keyOf(task) === one?.key);
  const moved = tasks[index(row)];
  const last = [...at("#list").children].filter((one) => one !== row).at(-1);
  const before = next ? tasks[index(next)] : tasks.slice(index(last) + 1).find((task) => task !== moved);
  return placed(tasks, moved, before ?? null).map(([task, position]) => write("edit", keyOf(task), { position }));
}

// Returns a function that begins once its last call is done and shown: a key that is held down repeats quickly.
function inTurn(work) {
  let last = Promise.resolve();
  return (...parts) => (last = last.catch(() => {}).then(() => work(...parts)));
}
