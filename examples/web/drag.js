// Dragging a row by its handle, with a mouse, a pen or a finger.

// `drop(row, next)` is called when a row was put before another (null: at the end). While one is dragged,
// list.dataset.dragging is set: the code that draws the list waits.
export function draggable(list, drop) {
  let [row, before] = [null, null];

  list.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.target.closest(".handle")) return;
    row = event.target.closest("li");
    before = row.nextElementSibling;
    list.setPointerCapture(event.pointerId); // not the row: it loses the pointer when it moves
    list.dataset.dragging = "";
    row.classList.add("dragged");
  });

  list.addEventListener("pointermove", (event) => {
    if (!row) return;
    const middle = (one) => one.getBoundingClientRect().top + one.offsetHeight / 2;
    const next = [...list.children].find((one) => one !== row && event.clientY < middle(one)) ?? null;
    if (next === row.nextElementSibling) return;
    list.insertBefore(row, next);
    row.scrollIntoView({ block: "nearest" });
  });

  const end = (moved) => {
    if (!row) return;
    const [dropped, next] = [row, row.nextElementSibling];
    row.classList.remove("dragged");
    delete list.dataset.dragging;
    row = null;
    drop(dropped, moved && next !== before ? next : undefined);
  };
  list.addEventListener("pointerup", () => end(true));
  list.addEventListener("pointercancel", () => end(false));
}
