// The trash: what was deleted, to be restored or deleted for good. It is read from the service each time it is shown.
import { keyOf } from "./database.js";

const [note, list] = document.querySelectorAll("#trash > p, #trash > ul");

export async function drawTrash({ session, act }) {
  const answer = await session.send("GET", "trash?limit=200").catch(() => null);
  const tasks = answer?.ok ? await answer.json() : null;
  note.textContent = tasks ? (tasks.length ? "" : "The trash is empty.") : "The trash cannot be read at the moment.";
  const erase = (path) => session.send("DELETE", path).then(() => drawTrash({ session, act }));
  document.querySelector("#trash > button").hidden = !tasks?.length;
  document.querySelector("#trash > button").onclick = () => erase("trash");
  const focused = list.contains(document.activeElement);
  list.replaceChildren(...(tasks ?? []).map((task) => {
    const row = document.querySelector("#trashed").content.firstElementChild.cloneNode(true);
    const [restore, gone] = row.querySelectorAll("button");
    row.querySelector(".title").textContent = task.title;
    restore.ariaLabel = `Restore: ${task.title}`;
    restore.onclick = () => act.restore([task]);
    gone.ariaLabel = `Delete for good: ${task.title}`;
    gone.onclick = () => erase(`trash/${encodeURIComponent(keyOf(task))}`);
    return row;
  }));
  if (focused) (list.querySelector("button") ?? document.querySelector("nav [aria-current]")).focus();
}
