// The tasks in a SQLite file: better-sqlite3, whose calls return when the result is there; a write is on the disk then.
import Database from "better-sqlite3";

const COLUMNS =
  "id, uid, user_id, title, description, completed, completed_at, priority, due_date, tags, position, extra, " +
  "revision, created_at, updated_at";
const NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";

export async function open(url) {
  const database = new Database(url.replace(/^sqlite:\/\//, ""));
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  const list = database.prepare(
    `SELECT ${COLUMNS} FROM task WHERE user_id = ? ORDER BY created_at DESC, id DESC LIMIT ?`,
  );
  const get = database.prepare(`SELECT ${COLUMNS} FROM task WHERE id = ? AND user_id = ?`);
  const create = database.prepare(
    `INSERT INTO task (user_id, title, description, created_at, updated_at) VALUES (?, ?, ?, ${NOW}, ${NOW}) ` +
      `RETURNING ${COLUMNS}`,
  );
  const edit = database.prepare(
    "UPDATE task SET title = coalesce(@title, title), " +
      "description = CASE WHEN @described THEN @description ELSE description END, " +
      "completed = coalesce(@completed, completed), " +
      `completed_at = CASE WHEN coalesce(@completed, completed) THEN coalesce(completed_at, ${NOW}) END, ` +
      `revision = revision + 1, updated_at = ${NOW} WHERE id = @id AND user_id = @user RETURNING ${COLUMNS}`,
  );
  const toggle = database.prepare(
    `UPDATE task SET completed = NOT completed, completed_at = CASE WHEN NOT completed THEN ${NOW} END, ` +
      `revision = revision + 1, updated_at = ${NOW} WHERE id = ? AND user_id = ? RETURNING ${COLUMNS}`,
  );

  function task(row) {
    if (row) {
      row.completed = row.completed === 1;
      row.status = row.completed ? "complete" : "incomplete";
      row.tags = JSON.parse(row.tags);
      row.extra = JSON.parse(row.extra);
    }
    return row;
  }

  return {
    list: (user, limit) => list.all(user, limit).map(task),
    get: (user, id) => task(get.get(id, user)),
    create: (user, title, description) => task(create.get(user, title, description)),
    edit: (user, id, { title = null, description, completed }) =>
      task(
        edit.get({
          id,
          user,
          title,
          described: description === undefined ? 0 : 1,
          description: description ?? null,
          completed: completed === undefined ? null : Number(completed),
        }),
      ),
    toggle: (user, id) => task(toggle.get(id, user)),
  };
}
