// Who is signed in: a token that was pasted, or came in the URL's fragment (#token=…).
import { api, renewal } from "./config.js";

export class SignedOut extends Error {}

// A real front end gets a token from its provider on each load and keeps it in memory. This page has no provider to
// ask on a reload, so it keeps the token for this tab; no script but its own can run in it.
const KEPT = "token";

export class Session {
  // Returns the session of this tab, or null. Throws SignedOut if what it was given is no token.
  static find() {
    const given = location.hash.match(/^#token=(.+)/)?.[1];
    if (given) {
      sessionStorage.setItem(KEPT, given);
      history.replaceState(null, "", "#/"); // out of the address bar and the history
    }
    const token = sessionStorage.getItem(KEPT);
    try {
      return token && new Session(token);
    } catch {
      throw new SignedOut("This text is no token: three parts with points between are expected");
    }
  }

  // Throws if the text is no JWT.
  constructor(token) { this.take(token); }

  take(token) {
    const payload = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(payload, (one) => one.charCodeAt(0))));
    this.user = String(claims.sub);
    this.ends = claims.exp * 1000;
    this.token = token;
    sessionStorage.setItem(KEPT, token);
  }

  end() { sessionStorage.removeItem(KEPT); }

  // Returns a token that is good for a while. Throws SignedOut if the service refused the old one and none can be had.
  async fresh(refused = false) {
    if (refused || this.ends < Date.now() + 30_000) await this.renew(refused);
    return this.token;
  }

  // Gets a fresh token if it can. Throws SignedOut if that is `needed` and refused.
  async renew(needed = false) {
    const headers = { Authorization: `Bearer ${this.token}` };
    const answer = renewal && (await fetch(renewal, { method: "POST", headers }).catch(() => null));
    if (answer?.ok) this.take((await answer.json()).token);
    else if (needed && (!renewal || answer)) throw new SignedOut("Your token is not accepted any more: sign in again");
  }

  // Sends a request; after 401 once more, with a fresh token. Returns null where there is no network.
  async send(method, path, body, headers = {}, signal = null) {
    for (let refused = false; ; refused = true) {
      const answer = await fetch(`${api}/${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${await this.fresh(refused)}`,
          ...(body && { "Content-Type": "application/json" }),
          ...headers,
        },
        body: body && JSON.stringify(body),
        signal,
      }).catch(() => null);
      if (answer?.status !== 401) return answer;
      if (refused) throw new SignedOut((await answer.json()).error);
    }
  }
}
