// Better Auth with its JWT plugin on loopback ports, one instance for each algorithm named, all data in memory.
//
//   node server.mjs EdDSA ES256 RS256
//
// prints one line of JSON, {algorithm: base URL}, once all of them listen. Beside Better Auth's own routes,
// POST /rotate ends the life of the signing key, as `rotationInterval` would after days: the next token is signed with
// a new one, and the old one stays published.
import { createServer } from "node:http";
import { randomBytes } from "node:crypto";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { bearer, jwt } from "better-auth/plugins";

async function start(alg) {
  const server = createServer();
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const baseURL = `http://127.0.0.1:${server.address().port}`;
  const data = { user: [], session: [], account: [], verification: [], jwks: [] };
  const auth = betterAuth({
    baseURL,
    secret: randomBytes(32).toString("hex"),
    database: memoryAdapter(data),
    emailAndPassword: { enabled: true },
    session: { cookieCache: { enabled: true, strategy: "jwt" } },
    plugins: [jwt({ jwks: { keyPairConfig: { alg } } }), bearer()],
    telemetry: { enabled: false },
    rateLimit: { enabled: false },
  });
  const handle = toNodeHandler(auth);
  server.on("request", (request, response) => {
    if (request.url !== "/rotate") return handle(request, response);
    for (const key of data.jwks) key.expiresAt ??= new Date();
    response.end();
  });
  return baseURL;
}

const algorithms = process.argv.slice(2);
const urls = await Promise.all(algorithms.map(start));
console.log(JSON.stringify(Object.fromEntries(algorithms.map((alg, place) => [alg, urls[place]]))));
