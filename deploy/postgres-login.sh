#!/bin/sh
# What an administrator runs once: the role that the service logs in as, which may do nothing but become todo_app.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$TODO_LOGIN_PASSWORD" --username "${POSTGRES_USER:-postgres}" \
    --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE todo_app NOLOGIN NOSUPERUSER NOBYPASSRLS;
CREATE ROLE todo_login LOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT PASSWORD :'password';
GRANT todo_app TO todo_login WITH INHERIT FALSE, SET TRUE;
SQL
