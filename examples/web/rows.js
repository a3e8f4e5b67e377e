// The rows of the list. Text of the user's only ever becomes text: there is no HTML in this program.

const template = document.querySelector("#row");

// Returns the row of a task. `act` has what can be done to it: set, edit, remove, move, tag, settle.
export function makeRow(key, act) {
  const row = template.content.firstElementChild.cloneNode(true);
  const part = (selector) => row.querySelector(selector);
  const form = part(".edit");
  row.key = key;

  part(".toggle").addEventListener("change", (event) => act.set(key, event.target.checked));
  part(".destroy").addEventListener("click", () => act.remove(key));
  part(".title").addEventListener("dblclick", () => begin());
  part(".open").addEventListener("click", () => begin());
  part(".tags").addEventListener("click", ({ target }) => target.matches("button") && act.tag(target.textContent));
  part(".mine").addEventListener("click", () => act.settle(key, true));
  part(".theirs").addEventListener("click", () => act.settle(key, false));
  part(".handle").addEventListener("keydown", (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
    if (by) event.preventDefault(), act.move(key, by);
  });

  form.addEventListener("submit", (event) => (event.preventDefault(), finish(true)));
  form.addEventListener("keydown", (event) => event.key === "Escape" && finish(false));
  // Asked a moment later, because a row that is moved loses the focus and gets it back.
  const left = () => form.contains(document.activeElement) || finish(true, false);
  form.addEventListener("focusout", () => setTimeout(left));

  // The edit goes on from the task as it is now, whatever arrives meanwhile.
  function begin() {
    row.editing = row.task;
    part(".edit-title").value = row.task.title;
    part(".edit-tags").value = row.task.tags.join(", ");
    show();
    part(".edit-title").focus();
  }

  function finish(save, refocus = true) {
    const base = row.editing;
    if (!base) return;
    row.editing = null;
    const tags = part(".edit-tags").value.split(",").map((tag) => tag.trim()).filter(Boolean);
    if (save) act.edit(key, base, part(".edit-title").value.trim(), distinct(tags));
    show();
    if (refocus) part(".open").focus();
  }

  function show() {
    row.classList.toggle("editing", Boolean(row.editing));
    form.hidden = !row.editing;
    part(".text").hidden = part(".open").hidden = Boolean(row.editing);
  }

  return row;
}

// Shows the task, and what is to be settled if there is a conflict.
export function fillRow(row, task, conflict) {
  const part = (selector) => row.querySelector(selector);
  row.task = task;
  row.classList.toggle("completed", task.completed);
  part(".toggle").checked = task.completed;
  part(".toggle").ariaLabel = `Done: ${task.title}`;
  part(".handle").ariaLabel = `Move: ${task.title}`;
  part(".open").ariaLabel = `Edit: ${task.title}`;
  part(".destroy").ariaLabel = `Delete: ${task.title}`;
  part(".title").textContent = task.title;
  part(".conflict").hidden = !conflict;
  part(".mine span").textContent = conflict?.title ?? "";
  part(".theirs span").textContent = conflict ? task.title : "";
  if (JSON.stringify(row.tags) !== JSON.stringify(task.tags)) {
    row.tags = task.tags;
    part(".tags").replaceChildren(...task.tags.map(chip));
  }
}

// Brings the rows into this order, and keeps the focus where it is: in the row that takes the place of one that goes.
export function arrange(list, rows) {
  const focused = document.activeElement;
  const place = [...list.children].indexOf(focused.closest("li"));
  const kept = new Set(rows);
  for (const row of [...list.children]) if (!kept.has(row)) row.remove();
  let at = list.firstElementChild;
  for (const row of rows) {
    if (row === at) at = at.nextElementSibling;
    else list.insertBefore(row, at);
  }
  const instead = rows[Math.min(place, rows.length - 1)]?.querySelector(".toggle") ?? document.querySelector("#new");
  if (focused !== document.activeElement) (focused.isConnected ? focused : instead).focus();
}

function chip(tag) {
  const button = document.createElement("button");
  button.textContent = tag;
  button.title = "Show only this tag";
  return button;
}

const distinct = (tags) => [...new Map(tags.map((tag) => [fold(tag), tag])).values()];

export const fold = (text) => text.normalize("NFD").toLowerCase().normalize("NFC");
