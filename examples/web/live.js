// One tab for all: whichever holds the lock sends the outbox and follows the changes. The others read the database.
import { api } from "./config.js";
import * as database from "./database.js";
import { drain } from "./outbox.js";
import { SignedOut } from "./session.js";
import { stream } from "./stream.js";

const sleep = (seconds, signal) =>
  new Promise((done) => (setTimeout(done, seconds * 1000), signal.addEventListener("abort", done, { once: true })));

export class Live {
  // `draw()` is called after each change of the database, by whatever tab; `settled` is called by the outbox.
  constructor(db, session, { draw, settled, signedOut }) {
    Object.assign(this, { db, session, draw, settled, signedOut, bell: Promise.withResolvers() });
    this.channel = new BroadcastChannel(db.name);
    this.channel.onmessage = () => this.look();
    addEventListener("online", () => this.ring());
    // A page that the browser keeps for "back" must hold neither a connection nor the lock.
    addEventListener("pagehide", () => ((this.left = true), this.stop?.abort(), this.ring()));
    addEventListener("pageshow", (event) => event.persisted && location.reload());
    navigator.locks.request(db.name, () => this.lead());
  }

  // Does `work` in a transaction and shows the result in all tabs; returns once this one shows it.
  async change(work) {
    await database.transact(this.db, work);
    await this.changed();
  }

  changed() {
    this.channel.postMessage("changed");
    return this.look();
  }

  async look() {
    if (await database.read(this.db, "offline")) this.stop?.abort();
    this.ring();
    return this.draw();
  }

  ring() {
    this.bell.resolve();
    this.bell = Promise.withResolvers();
  }

  async lead() {
    while (!this.left) {
      try {
        await this.work();
      } catch (problem) {
        await this.tell("stopped");
        if (problem instanceof SignedOut) return this.signedOut(problem.message);
        throw problem;
      }
    }
  }

  // Works until the switch says offline, or waits until something changes while it does.
  async work() {
    const { signal } = (this.stop = new AbortController());
    const rung = this.bell.promise;
    if (await database.read(this.db, "offline")) return this.tell("offline").then(() => rung);
    const caughtUp = Promise.withResolvers(); // before anything is sent: what is gone by now must not be sent again
    signal.addEventListener("abort", caughtUp.resolve);
    const jobs = [caughtUp.promise.then(() => this.send(signal)), this.follow(signal, caughtUp.resolve)];
    try {
      await Promise.race(jobs);
    } finally {
      this.stop.abort();
      this.ring();
      await Promise.allSettled(jobs);
    }
  }

  async send(signal) {
    const send = (method, path, body, headers) => this.session.send(method, path, body, headers, signal);
    const settle = (...parts) => (this.settled(...parts), this.changed()); // a look waits for the transaction
    while (!signal.aborted) {
      const rung = this.bell.promise;
      const seconds = await drain(this.db, send, settle, signal);
      await (seconds === null ? rung : sleep(seconds, signal));
    }
  }

  async follow(signal, caughtUp) {
    const on = {
      ready: () => this.tell("live"),
      ping: (seconds) => seconds < 60 && this.session.renew(),
      changes: (page) => this.apply(page),
      resync: () => this.catchUp("", signal, true),
    };
    while (!signal.aborted) {
      if (!(await this.catchUp("", signal))) {
        await this.tell("unreachable");
        await sleep(2, signal);
        continue;
      }
      caughtUp();
      await stream(api, (refused) => this.session.fresh(refused), await database.read(this.db, "since"), on, signal);
      const until = Date.now() + 600_000; // no stream comes through: ask and wait for ten minutes
      for (let wait = ""; Date.now() < until && (await this.catchUp(wait, signal)); wait = "&wait=25") {
        await this.tell("waiting");
      }
    }
  }

  // Asks for what came after the copy, or for everything. Returns whether there was an answer.
  async catchUp(wait, signal, whole = false) {
    for (;;) {
      const since = whole ? undefined : await database.read(this.db, "since");
      const query = since === undefined ? "" : `?since=${since}${wait}`;
      const answer = await this.session.send("GET", `changes${query}`, null, {}, signal);
      if (answer?.status === 410) whole = true;
      else if (!answer?.ok) return false;
      else {
        const page = await answer.json().catch(() => null);
        if (page) await this.apply(page, since === undefined);
        if (!page?.has_more) return page !== null;
      }
    }
  }

  async apply(page, whole = false) {
    await database.applyPage(this.db, page, whole);
    if (whole || page.tasks.length || page.deleted.length) this.changed();
  }

  // Stores how this browser is connected, for all tabs to show.
  async tell(link) {
    if ((await database.read(this.db, "link")) === link) return;
    await this.change((store) => store("state").put(link, "link"));
  }
}
