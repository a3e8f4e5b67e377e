// oidc-provider, the certified OpenID Connect server, on a loopback port, all data in memory.
//
//   node server.mjs ES384 PS256 Ed25519
//
// prints its issuer once it listens. It has a key for each algorithm named, and two clients for each, `ann-ES384` and
// `bob-ES384`: the access tokens that they get with their own credentials for the resource https://todo.example/api are
// JWTs (RFC 9068) signed with that algorithm.
import { createServer } from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

const RESOURCE = "https://todo.example/api";
const algorithms = process.argv.slice(2);

async function key(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use: "sig", kid: `key-${alg}` };
}

const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  jwks: { keys: await Promise.all(["RS256", ...algorithms].map(key)) }, // RS256 for ID tokens, which it must have
  clients: algorithms.flatMap((alg) =>
    ["ann", "bob"].map((name) => ({
      client_id: `${name}-${alg}`,
      client_secret: "a secret of the tests' own",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    })),
  ),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource, client) => ({
        scope: "tasks",
        audience: resource,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: client.clientId.split("-")[1] } },
      }),
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
    },
  },
});
server.on("request", provider.callback());
console.log(issuer);
