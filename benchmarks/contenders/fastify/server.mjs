// The same endpoints on Fastify: JSON schemas for what comes and goes, remembered tokens, and a store that keeps and
// returns the same members as the service does.
//
//   DATABASE_URL=postgresql://… JWT_SECRET=… PORT=8000 node server.mjs
//   DATABASE_URL=sqlite:///… JWT_SECRET=… PORT=8000 node server.mjs
import fastify from "fastify";
import jwt from "@fastify/jwt";

const url = process.env.DATABASE_URL;
const store = await (url.startsWith("sqlite:") ? import("./sqlite.mjs") : import("./postgres.mjs"));
const tasks = await store.open(url);
const app = fastify();
await app.register(jwt, {
  secret: process.env.JWT_SECRET,
  verify: { algorithms: ["HS256"], cache: true },
});

const text = { type: "string", minLength: 1, maxLength: 255 };
const description = { type: ["string", "null"], maxLength: 5000 };
const time = { type: "string", format: "date-time" };
const task = {
  type: "object",
  properties: {
    id: { type: "integer" },
    uid: { type: ["string", "null"] },
    user_id: { type: "string" },
    title: { type: "string" },
    description: { type: ["string", "null"] },
    status: { type: "string" },
    completed: { type: "boolean" },
    completed_at: { type: ["string", "null"], format: "date-time" },
    priority: { type: "string" },
    due_date: { type: ["string", "null"] },
    tags: { type: "array", items: { type: "string" } },
    position: { type: ["string", "null"] },
    extra: { type: "object", additionalProperties: true },
    revision: { type: "integer" },
    created_at: time,
    updated_at: time,
  },
};
const owner = { user_id: { type: "string", maxLength: 255 } };
const ofUser = { type: "object", properties: owner };
const ofTask = { type: "object", properties: { ...owner, id: { type: "integer", minimum: 1, maximum: 2147483647 } } };

async function one(found, reply) {
  const row = await found;
  return row ?? reply.code(404).send({ error: "no such task" });
}

app.addHook("onRequest", async (request, reply) => {
  await request.jwtVerify();
  if (request.user.sub !== request.params.user_id) return reply.code(403).send({ error: "not yours" });
});

app.get(
  "/api/:user_id/tasks",
  {
    schema: {
      params: ofUser,
      querystring: {
        type: "object",
        additionalProperties: false,
        properties: { limit: { type: "integer", minimum: 1, maximum: 1000, default: 100 } },
      },
      response: { 200: { type: "array", items: task } },
    },
  },
  async (request) => tasks.list(request.user.sub, request.query.limit),
);

app.get("/api/:user_id/tasks/:id", { schema: { params: ofTask, response: { 200: task } } }, (request, reply) =>
  one(tasks.get(request.user.sub, request.params.id), reply),
);

app.post(
  "/api/:user_id/tasks",
  {
    schema: {
      params: ofUser,
      body: {
        type: "object",
        required: ["title"],
        additionalProperties: false,
        properties: { title: text, description },
      },
      response: { 201: task },
    },
  },
  async (request, reply) => {
    const row = await tasks.create(request.user.sub, request.body.title, request.body.description ?? null);
    reply.code(201);
    return row;
  },
);

app.patch(
  "/api/:user_id/tasks/:id",
  {
    schema: {
      params: ofTask,
      body: {
        type: "object",
        minProperties: 1,
        additionalProperties: false,
        properties: { title: text, description, completed: { type: "boolean" } },
      },
      response: { 200: task },
    },
  },
  (request, reply) => one(tasks.edit(request.user.sub, request.params.id, request.body), reply),
);

app.patch(
  "/api/:user_id/tasks/:id/complete",
  { schema: { params: ofTask, response: { 200: task } } },
  (request, reply) => one(tasks.toggle(request.user.sub, request.params.id), reply),
);

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
