// The page: signing in and out, and what the user does with it.
import { actions, settled } from "./actions.js";
import { at, board, draw } from "./board.js";
import * as database from "./database.js";
import { draggable } from "./drag.js";
import { Live } from "./live.js";
import { Session } from "./session.js";

async function start() {
  const session = (board.session = Session.find());
  if (!session) return signedOut("");
  at("#user").textContent = session.user;
  board.db = await database.open(`todo ${session.user}`);
  board.act = actions(new Live(board.db, session, { draw, settled, signedOut }));
  at("#board").hidden = at("#account").hidden = false;
  draggable(at("#list"), board.act.drop);
  await draw();
  at("#new").focus();
}

function signedOut(sentence) {
  board.session?.end();
  at("#board").hidden = at("#account").hidden = true;
  at("#sign-in").hidden = false;
  at("#sign-in-problem").textContent = sentence;
  at("#token").focus();
}

at("#sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `#token=${at("#token").value.trim().replace(/^Bearer /, "")}`;
});
at("#sign-out").addEventListener("click", async () => {
  const { length } = board.state.writes;
  if (length && !confirm(`${length} changes are not sent yet, and are lost. Sign out?`)) return;
  board.session.end();
  await database.forget(board.db);
  location.reload();
});
at("#add").addEventListener("submit", (event) => {
  event.preventDefault();
  board.act.add(at("#new").value.trim());
  at("#new").value = "";
});
at("#all").addEventListener("change", ({ target }) => board.act.setAll(target.checked));
at("#clear").addEventListener("click", () => board.act.clear());
at("#search").addEventListener("input", draw);
at("#tag").addEventListener("change", draw);
at("#offline").addEventListener("change", ({ target }) => board.act.offline(target.checked));
at("#problem button").addEventListener("click", () => board.act.dismiss());
addEventListener("hashchange", () => (location.hash.startsWith("#token=") ? location.reload() : draw()));

start().catch((problem) => signedOut(problem.message));
