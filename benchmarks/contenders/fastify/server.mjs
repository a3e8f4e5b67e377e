// The same endpoints on Fastify: JSON schemas for what comes and goes, remembered tokens, prepared statements.
//
//   DATABASE_URL=postgresql://… JWT_SECRET=… PORT=8000 node server.mjs
import fastify from "fastify";
import jwt from "@fastify/jwt";
import pg from "pg";

// Between two rounds nobody asks for anything: the connections stay all the same.
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, idleTimeoutMillis: 0 });
const app = fastify();
await app.register(jwt, {
  secret: process.env.JWT_SECRET,
  verify: { algorithms: ["HS256"], cache: true },
});

const text = { type: "string", minLength: 1, maxLength: 255 };
const description = { type: ["string", "null"], maxLength: 5000 };
const task = {
  type: "object",
  properties: {
    id: { type: "integer" },
    user_id: { type: "string" },
    title: { type: "string" },
    description: { type: ["string", "null"] },
    completed: { type: "boolean" },
    created_at: { type: "string", format: "date-time" },
    updated_at: { type: "string", format: "date-time" },
  },
};
const owner = { user_id: { type: "string", maxLength: 255 } };
const ofUser = { type: "object", properties: owner };
const ofTask = { type: "object", properties: { ...owner, id: { type: "integer", minimum: 1, maximum: 2147483647 } } };
const COLUMNS = "id, user_id, title, description, completed, created_at, updated_at";

async function one(query, reply) {
  const { rows } = await pool.query(query);
  return rows.length ? rows[0] : reply.code(404).send({ error: "no such task" });
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
  async (request) => {
    const { rows } = await pool.query({
      name: "list",
      text: `SELECT ${COLUMNS} FROM task WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2`,
      values: [request.user.sub, request.query.limit],
    });
    return rows;
  },
);

app.get(
  "/api/:user_id/tasks/:id",
  { schema: { params: ofTask, response: { 200: task } } },
  (request, reply) =>
    one(
      {
        name: "get",
        text: `SELECT ${COLUMNS} FROM task WHERE id = $1 AND user_id = $2`,
        values: [request.params.id, request.user.sub],
      },
      reply,
    ),
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
    const { rows } = await pool.query({
      name: "create",
      text:
        "INSERT INTO task (user_id, title, description, created_at, updated_at) VALUES ($1, $2, $3, now(), now()) " +
        `RETURNING ${COLUMNS}`,
      values: [request.user.sub, request.body.title, request.body.description ?? null],
    });
    reply.code(201);
    return rows[0];
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
  (request, reply) => {
    const { title, description: told, completed } = request.body;
    return one(
      {
        name: "edit",
        text:
          "UPDATE task SET title = coalesce($3, title), " +
          "description = CASE WHEN $4 THEN $5 ELSE description END, " +
          "completed = coalesce($6, completed), updated_at = now() " +
          `WHERE id = $1 AND user_id = $2 RETURNING ${COLUMNS}`,
        values: [request.params.id, request.user.sub, title, told !== undefined, told, completed],
      },
      reply,
    );
  },
);

app.patch(
  "/api/:user_id/tasks/:id/complete",
  { schema: { params: ofTask, response: { 200: task } } },
  (request, reply) =>
    one(
      {
        name: "toggle",
        text:
          "UPDATE task SET completed = NOT completed, updated_at = now() " +
          `WHERE id = $1 AND user_id = $2 RETURNING ${COLUMNS}`,
        values: [request.params.id, request.user.sub],
      },
      reply,
    ),
);

await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
