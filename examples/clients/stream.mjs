// Calls `changed(page)` for each page of changes after `since`, and `resync()` when the copy has to be read anew.
export async function stream(api, token, since, changed, resync, signal = new AbortController().signal) {
  for (let pause = 0; !signal.aborted; ) {
    await new Promise((done) => setTimeout(done, pause));
    const silent = new AbortController();
    const watched = () => setTimeout(() => silent.abort(), 50_000); // two pings are missing: the connection is dead
    let watch = watched();
    const open = async () => {
      const headers = { Authorization: `Bearer ${await token()}` };
      return fetch(`${api}/events?since=${since}`, { headers, signal: AbortSignal.any([signal, silent.signal]) });
    };
    const response = await open().catch(() => null); // offline
    pause = 1000 * (Number(response?.headers.get("Retry-After")) || 2);
    const reader = response?.ok && response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part; reader && !(part = await reader.read().catch(() => ({ done: true }))).done; ) {
      clearTimeout(watch);
      watch = watched();
      const blocks = (text + part.value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const { event, id, data, retry } = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
        if (retry) pause = Number(retry);
        if (event === "changes") await changed(JSON.parse(data));
        if (event === "resync") await resync();
        if (id) since = id;
      }
    }
    clearTimeout(watch);
  }
}
