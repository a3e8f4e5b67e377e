// What a client costs: the requests for five hundred creates, and how long a change takes from one device to another.
const [program, origin, token] = process.argv.slice(2);
const api = `${origin}/api/me`;
const real = globalThis.fetch;
let requests = 0;
globalThis.fetch = (...request) => {
  requests += 1;
  return real(...request);
};

const { open } = await import(`./${program}_device.mjs`);
const one = await open(1, api, () => token);
await one.sync();
requests = 0;
const keys = Array.from({ length: 500 }, () => crypto.randomUUID());
await Promise.all(keys.map((key, number) => one.create(key, { title: `${number}`, completed: false })));
await one.sync();
const creates = requests;

const other = await open(2, api, () => token);
const took = [];
for (let number = 0; number < 20; number += 1) {
  const begun = performance.now();
  await one.edit(keys[0], { title: `change ${number}` });
  for (;;) {
    if (!one.live) await one.sync();
    if (!one.live) await other.sync();
    if ((await other.all()).get(keys[0])?.title === `change ${number}`) break;
    await new Promise((done) => setTimeout(done, 1));
  }
  took.push(performance.now() - begun);
}
took.sort((a, b) => a - b);
console.log(JSON.stringify({ creates, milliseconds: Math.round(took[10]) }));
process.exit();
