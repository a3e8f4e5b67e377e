// A live stream of changes over fetch, because EventSource cannot send a token. No imports: copy this file.
//
// Follows GET /events after the revision `since`, through every end and pause, until `signal` is aborted.
// `on.changes(page)` gets each page of changes and `on.resync()` reads everything anew; the stream waits for both.
// `on.ready()` hears that the stream is open, `on.ping(seconds)` how long the token is good for, every 20 seconds.
// `token(refused)` returns a token, a fresh one if `refused` is true.
// Returns after two attempts in a row in which the stream did not open: then ask /changes?wait=25 for a while.
export async function stream(api, token, since, on, signal) {
  for (let pause = 0, failed = 0, refused = false; failed < 2 && !signal.aborted; ) {
    await new Promise((done) => (setTimeout(done, pause), signal.addEventListener("abort", done, { once: true })));
    const silent = new AbortController();
    let watch = setTimeout(() => silent.abort(), 10_000); // a proxy that collects the stream never shows its beginning
    failed += 1;
    pause ||= 1_000;
    const answer = await fetch(`${api}/events?since=${since}`, {
      headers: { Authorization: `Bearer ${await token(refused)}` },
      cache: "no-store",
      signal: AbortSignal.any([signal, silent.signal]),
    }).catch(() => null); // offline
    refused = answer?.status === 401;
    const reader = answer?.ok && answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part; reader && !(part = await reader.read().catch(() => ({ done: true }))).done; ) {
      clearTimeout(watch);
      watch = setTimeout(() => silent.abort(), 50_000); // two pings are missing: the connection is dead
      const blocks = (text + part.value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const { event, id, data, retry } = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
        if (retry) pause = Number(retry);
        if (event === "ready") on.ready((failed = 0));
        if (event === "ping") on.ping(JSON.parse(data).token_expires_in);
        if (event === "changes") await on.changes(JSON.parse(data));
        if (event === "resync") await on.resync();
        if (id) since = id;
      }
    }
    clearTimeout(watch);
  }
}
