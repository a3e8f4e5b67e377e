// Calls `changed(page)` for each page of changes after `since`, and `resync()` when the copy has to be read anew.
export async function stream(api, token, since, changed, resync, signal) {
  for (let pause = 0; !signal?.aborted; pause = pause || 1000) {
    await new Promise((done) => setTimeout(done, pause));
    const response = await fetch(`${api}/events?since=${since}`, {
      headers: { Authorization: `Bearer ${await token()}` }, signal,
    }).catch(() => null); // offline
    if (!response?.ok) continue;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part; (part = await reader.read().catch(() => ({ done: true }))), !part.done; ) {
      text += part.value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const { event, id, data, retry } = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
        if (retry) pause = Number(retry);
        if (event === "changes") await changed(JSON.parse(data));
        if (event === "resync") await resync();
        if (id) since = id;
      }
    }
  }
}
