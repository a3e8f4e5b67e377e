// Returns a function that sends a request below `api`, which ends in /api/me, with the token that `token()` gives.
export function requests(api, token) {
  return async (method, path, body, headers) => {
    const sent = { Authorization: `Bearer ${await token()}`, ...headers };
    if (body !== undefined) sent["Content-Type"] = "application/json";
    const signal = AbortSignal.timeout(method === "GET" ? 600_000 : 60_000); // for a connection that is dead unnoticed
    return fetch(api + path, { method, headers: sent, body: body && JSON.stringify(body), signal });
  };
}

// The name of a task everywhere: what its client gave it, else the service's number. Of a tombstone, too.
export const keyOf = ({ uid, id }) => uid ?? `${id}`;

// The members of a task that a client may set.
export const MEMBERS = ["title", "description", "completed", "priority", "due_date", "tags", "position", "extra"];

// What an object has of these.
export function members(from) {
  return Object.fromEntries(MEMBERS.filter((name) => name in from).map((name) => [name, from[name]]));
}
