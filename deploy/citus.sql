-- Spreads the tables over the nodes of a Citus cluster, all rows of one user on the same node.
-- Run it once on the coordinator, as a superuser, while the service is stopped:
--     psql --single-transaction --set=ON_ERROR_STOP=1 --file=deploy/citus.sql postgresql://postgres@coordinator/todo
-- Needs the extension citus, the nodes (citus_add_node) and a database that todo migrate has prepared.

-- Rows that row-level security hides would not be moved to the nodes.
DO $$
BEGIN
    IF row_security_active('users') THEN
        RAISE EXCEPTION 'row-level security hides rows from this login: run this file as a superuser';
    END IF;
END
$$;

-- Citus puts tables on the same node only if the columns that distribute them are of the same type.
DROP POLICY owner_only ON users;
ALTER TABLE users
    ALTER COLUMN id TYPE text,
    ADD CONSTRAINT users_id_length CHECK (length(id) BETWEEN 1 AND 255);
CREATE POLICY owner_only ON users FOR ALL
    USING (id = nullif(current_setting('todo.user_id', true), ''))
    WITH CHECK (id = nullif(current_setting('todo.user_id', true), ''));

SELECT create_distributed_table('users', 'id', shard_count := 32);
SELECT create_distributed_table('tasks', 'user_id', colocate_with := 'users');
SELECT create_distributed_table('tombstones', 'user_id', colocate_with := 'users');
SELECT create_distributed_table('trash', 'user_id', colocate_with := 'users');
SELECT create_distributed_table('idempotency_keys', 'user_id', colocate_with := 'users');
SELECT create_distributed_table('feeds', 'user_id', colocate_with := 'users');

-- The coordinator connects to the nodes as the role of the statement, and gives out the ids of tasks as this role.
ALTER ROLE todo_app LOGIN;
GRANT USAGE ON SEQUENCE tasks_id_seq TO todo_app;

-- Citus passes SET LOCAL on to the nodes. The service sets this itself on its own connections, but not through a pooler.
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET citus.propagate_set_commands = ''local''', current_database());
END
$$;
