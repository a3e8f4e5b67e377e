"""The statements of the release before the newest migration, on both engines.

It knows the tables of revision 0004: what it deletes leaves a tombstone and lies in the trash. It stands for the code
that serves while a migration runs; when a migration is added, write here what the last release sends.
"""

import sqlite3
from contextlib import closing, contextmanager

import psycopg

NOW = "2026-11-22T09:15:00.000000Z"
_OF_A_TASK = (
    "id, uid, user_id, title, description, completed_at, priority, due_date, tags, position, extra, revision,"
    " created_at, updated_at, title_key, description_key, tags_key"
)
_HERS = "user_id = %(owner)s AND id = %(id)s"

TURN = "UPDATE users SET revision = revision + 1, task_count = task_count + %(more)s WHERE id = %(owner)s"
PROVISION = (
    "INSERT INTO users (id, revision, task_count, horizon, created_at) VALUES (%(owner)s, 0, 0, 0, %(now)s)"
    " ON CONFLICT (id) DO NOTHING"
)
INSERT = (
    "INSERT INTO tasks (user_id, {id}uid, title, description, completed_at, priority, due_date, tags, position, extra,"
    " title_key, description_key, tags_key, revision, created_at, updated_at)"
    " VALUES (%(owner)s, {value}%(uid)s, CAST(%(title)s AS text), NULL, NULL, 2, '2026-12-01', {none}, 'a0', NULL,"
    " CAST(%(title)s AS text), NULL,"
    " {none}, %(revision)s, %(now)s, %(now)s) RETURNING id"
)
GET = f"SELECT {_OF_A_TASK} FROM tasks WHERE {_HERS}"
LIST = f"SELECT {_OF_A_TASK} FROM tasks WHERE user_id = %(owner)s ORDER BY created_at DESC, id DESC LIMIT 20"
CHANGES = (
    f"SELECT {_OF_A_TASK} FROM tasks WHERE user_id = %(owner)s AND revision > %(since)s ORDER BY revision LIMIT 20"
)
EDIT = (
    "UPDATE tasks SET title = CAST(%(title)s AS text), title_key = CAST(%(title)s AS text), revision = %(revision)s"
    f" WHERE {_HERS}"
)
TOGGLE = f"UPDATE tasks SET completed_at = %(now)s, revision = %(revision)s, updated_at = %(now)s WHERE {_HERS}"
DELETE = f"DELETE FROM tasks WHERE {_HERS}"
BURY = (
    "INSERT INTO tombstones (user_id, task_id, uid, revision, deleted_at, number)"
    " VALUES (%(owner)s, %(id)s, %(uid)s, %(revision)s, %(now)s, %(revision)s)"
)
TRASH = (
    "INSERT INTO trash (user_id, task_id, uid, title, description, completed_at, priority, due_date, tags, position,"
    " extra, title_key, description_key, tags_key, revision, created_at, updated_at, deleted_at)"
    " VALUES (%(owner)s, %(id)s, %(uid)s, CAST(%(title)s AS text), NULL, %(now)s, 2, '2026-12-01', {none}, 'a0', NULL,"
    " CAST(%(title)s AS text), NULL, {none}, %(revision)s, %(now)s, %(now)s, %(now)s)"
)
REMEMBER = (
    "INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id, revision, created_at, number)"
    " VALUES (%(owner)s, %(key)s, %(print)s, %(id)s, %(revision)s, %(now)s, %(revision)s)"
)
CONTEXT = (
    "SELECT set_config('role', 'todo_app', true), set_config('todo.user_id', %(owner)s, true),"
    " set_config('statement_timeout', '2500', true)"
)
LOCK = (
    f"{CONTEXT}, set_config('lock_timeout', '2500', true),"
    " pg_advisory_xact_lock(hashtextextended(%(owner)s, 1953457263))"
)
NEXT_ID = "UPDATE task_ids SET last = last + 1 RETURNING last"


class Previous:
    """One connection of that release, for one user; `read` and `write` each do all it can, and count in `done`."""

    def __init__(self, owner):
        self.owner = owner
        self.done = 0

    def read(self):
        """A list, a task of it, and what changed."""
        with self._transaction(self.READS) as run:
            rows = run(LIST)
            if rows:
                run(GET, id=rows[0][0])
            run(CHANGES, since=0)
        self.done += 1

    def write(self):
        """A task is created under a key, edited, completed and, every other time, deleted."""
        title, uid = f"by the previous release {self.done}", f"{id(self)}-{self.done:010}"
        with self._transaction(self.WRITES) as run:
            run(PROVISION)
            revision = self._turn(run, more=1)
            (id_,) = self._insert(run, title=title, uid=uid, revision=revision)
            run(REMEMBER, id=id_, key=title, print=b"x", revision=revision)
        with self._transaction(self.WRITES) as run:
            run(EDIT, id=id_, title=f"{title}, edited", revision=self._turn(run))
        with self._transaction(self.WRITES) as run:
            run(TOGGLE, id=id_, revision=self._turn(run))
        if self.done % 2:
            with self._transaction(self.WRITES) as run:
                revision = self._turn(run, more=-1)
                run(DELETE, id=id_)
                run(BURY, id=id_, uid=uid, revision=revision)
                run(TRASH.format(none=self.NONE), id=id_, uid=uid, title=title, revision=revision)
        self.done += 1

    @staticmethod
    def _turn(run, more=0):
        return run(f"{TURN} RETURNING revision", more=more)[0][0]


class PreviousOnPostgres(Previous):
    """It sends `CONTEXT` or `LOCK` first; its statements are prepared on the server, as the driver does by itself."""

    READS, WRITES, NONE = CONTEXT, LOCK, "'{}'"

    def __init__(self, url, owner):
        super().__init__(owner)
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=1)

    def close(self):
        self._connection.close()

    @contextmanager
    def _transaction(self, begin):
        def run(statement, **values):
            cursor = self._connection.execute(statement.encode(), {"owner": self.owner, "now": NOW, **values})
            return cursor.fetchall() if cursor.description else []

        with self._connection.transaction():
            run(begin)
            yield run

    @staticmethod
    def _insert(run, **values):
        return run(INSERT.format(id="", value="", none="'{}'"), **values)[0]


class PreviousOnSqlite(Previous):
    """It waits up to 2.4 s for a lock, and takes ids from the table that counts them."""

    READS, WRITES, NONE = "BEGIN", "BEGIN IMMEDIATE", "'[]'"

    def __init__(self, path, owner):
        super().__init__(owner)
        self._connection = sqlite3.connect(path, timeout=2.4, isolation_level=None, check_same_thread=False)

    def close(self):
        self._connection.close()

    @contextmanager
    def _transaction(self, begin):
        def run(statement, **values):
            for name in ("owner", "now", *values):
                statement = statement.replace(f"%({name})s", f":{name}")
            with closing(self._connection.execute(statement, {"owner": self.owner, "now": NOW, **values})) as cursor:
                return cursor.fetchall()

        self._connection.execute(begin)
        try:
            yield run
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    @staticmethod
    def _insert(run, **values):
        ((id_,),) = run(NEXT_ID)
        return run(INSERT.format(id="id, ", value="%(id)s, ", none="'[]'"), id=id_, **values)[0]
