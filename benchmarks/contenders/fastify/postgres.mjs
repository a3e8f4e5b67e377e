// The tasks in PostgreSQL: pg with its default of ten connections, and prepared statements.
import pg from "pg";

const COLUMNS =
  "id, uid, user_id, title, description, completed, completed_at, priority, due_date::text, tags, position, extra, " +
  "revision, created_at, updated_at";

export async function open(connectionString) {
  // Between two rounds nobody asks for anything: the connections stay all the same.
  const pool = new pg.Pool({ connectionString, idleTimeoutMillis: 0 });

  async function rows(name, text, values) {
    const found = (await pool.query({ name, text, values })).rows;
    for (const row of found) row.status = row.completed ? "complete" : "incomplete";
    return found;
  }
  async function row(name, text, values) {
    return (await rows(name, text, values))[0];
  }

  return {
    list: (user, limit) =>
      rows("list", `SELECT ${COLUMNS} FROM task WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2`, [
        user,
        limit,
      ]),
    get: (user, id) => row("get", `SELECT ${COLUMNS} FROM task WHERE id = $1 AND user_id = $2`, [id, user]),
    create: (user, title, description) =>
      row(
        "create",
        "INSERT INTO task (user_id, title, description, created_at, updated_at) VALUES ($1, $2, $3, now(), now()) " +
          `RETURNING ${COLUMNS}`,
        [user, title, description],
      ),
    edit: (user, id, { title, description, completed }) =>
      row(
        "edit",
        "UPDATE task SET title = coalesce($3, title), " +
          "description = CASE WHEN $4 THEN $5 ELSE description END, " +
          "completed = coalesce($6, completed), " +
          "completed_at = CASE WHEN coalesce($6, completed) THEN coalesce(completed_at, now()) END, " +
          "revision = revision + 1, updated_at = now() " +
          `WHERE id = $1 AND user_id = $2 RETURNING ${COLUMNS}`,
        [id, user, title, description !== undefined, description, completed],
      ),
    toggle: (user, id) =>
      row(
        "toggle",
        "UPDATE task SET completed = NOT completed, completed_at = CASE WHEN NOT completed THEN now() END, " +
          "revision = revision + 1, updated_at = now() " +
          `WHERE id = $1 AND user_id = $2 RETURNING ${COLUMNS}`,
        [id, user],
      ),
  };
}
