"""A trigger or a constraint that is not todo's, and ids that are used up: 503, and a line for the operator."""

import asyncio
import logging

import psycopg
import pytest

from servers import binaries
from support.clock import FakeClock
from todo_adapters.sql.additions import RefusedByAddition
from todo_adapters.sql.postgres.additions import OUR_CONSTRAINTS
from todo_domain import TaskService, Unavailable
from todo_domain.owner import LARGEST_ID

SECRET = "a secret title"


@pytest.fixture
async def tasks(migrated):
    if "sqlite" not in migrated.url and binaries.have_citus():
        pytest.skip("Citus refuses triggers on its tables, and does not name the constraint that refused a write")
    store = migrated.store()
    await store.open()
    yield TaskService(store, clock=FakeClock())
    await store.aclose()


async def refusal(tasks, user, caplog):
    """What the operator reads of a create that is refused; the client reads nothing of it."""
    with caplog.at_level(logging.ERROR, "todo.sql"), pytest.raises(RefusedByAddition) as refused:
        await tasks.create(user, title=SECRET)
    assert isinstance(refused.value, Unavailable)
    assert not refused.value.outcome_unknown
    assert refused.value.__cause__ is None
    assert str(refused.value) == "the database does not take this write for now: the log of the service has the reason"
    (line,) = caplog.messages
    assert SECRET not in line
    assert user not in line
    assert (await tasks.list(user)).tasks == []
    return line


def refusing(condition, exception="RAISE EXCEPTION 'refused: %', NEW.title"):
    return (
        f"CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN {exception};"
        " END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER theirs BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION refuses()"
    )


async def test_a_trigger_that_refuses_a_write_is_named_to_the_operator_only(migrated, tasks, ann, bob, caplog):
    if "sqlite" in migrated.url:
        migrated.run(
            f"CREATE TRIGGER theirs BEFORE INSERT ON tasks WHEN NEW.user_id = '{ann}'"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    else:
        migrated.run(refusing(f"NEW.user_id = '{ann}'"))
    line, made = await asyncio.gather(refusal(tasks, ann, caplog), tasks.create(bob, title="beside it"))
    assert made.task.title == "beside it"
    named = "; the file has: theirs" if "sqlite" in migrated.url else ": PL/pgSQL function refuses() line 1 at RAISE"
    assert line.endswith(f"a trigger that is not todo's raised an exception{named}")
    migrated.run("DROP TRIGGER theirs" + ("" if "sqlite" in migrated.url else " ON tasks"))
    assert (await tasks.create(ann, title=SECRET)).task.title == SECRET


async def test_ids_that_are_used_up_are_named_and_lowering_them_is_enough(migrated, tasks, ann, caplog):
    def set_last(number):
        if "sqlite" in migrated.url:
            migrated.run(f"UPDATE task_ids SET last = {number}")
        else:
            migrated.run(f"SELECT setval(pg_get_serial_sequence('tasks', 'id'), {number})")

    set_last(LARGEST_ID)
    assert "reached" in await refusal(tasks, ann, caplog)
    set_last(7)
    assert (await tasks.create(ann, title=SECRET)).task.id == 8


THEIRS = {
    "a check": (
        "ALTER TABLE tasks ADD CONSTRAINT short_titles CHECK (length(title) < 5)",
        "the constraint short_titles of tasks, which is not todo's",
    ),
    "a check of a domain": (
        "ALTER DOMAIN todo_title ADD CONSTRAINT polite CHECK (VALUE <> 'a secret title')",
        "the constraint polite of todo_title, which is not todo's",
    ),
    "a unique index": (
        (
            "CREATE UNIQUE INDEX one_of_all ON tasks ((1)); INSERT INTO users VALUES ('x', 1, 1, 0, now());"
            "INSERT INTO tasks (user_id, title, title_key, revision, created_at, updated_at)"
            " VALUES ('x', 'x', 'x', 1, now(), now())"
        ),
        "the constraint one_of_all of tasks, which is not todo's",
    ),
    "a column": (
        "ALTER TABLE tasks ADD COLUMN theirs integer NOT NULL",
        "the column theirs of tasks, which is not todo's, must not be null and has no default",
    ),
    "a code of a constraint": (
        refusing("true", "RAISE EXCEPTION 'refused: %', NEW.title USING ERRCODE = 'check_violation'"),
        (
            "a trigger that is not todo's raised an exception with SQLSTATE 23514:"
            " PL/pgSQL function refuses() line 1 at RAISE"
        ),
    ),
    "a table of a trigger's": (
        "CREATE TABLE copies (title text CONSTRAINT none_at_all CHECK (false)); GRANT INSERT ON copies TO todo_app;"
        + refusing("true", "INSERT INTO copies VALUES (NEW.title)"),
        "the constraint none_at_all of copies, which is not todo's",
    ),
}


@pytest.mark.parametrize("migrated", ["postgres"], indirect=True)
@pytest.mark.parametrize("added", THEIRS)
async def test_what_others_have_added_is_named_without_a_value(migrated, tasks, ann, caplog, added):
    statement, named = THEIRS[added]
    migrated.run(statement)
    assert await refusal(tasks, ann, caplog) == f"a write was refused by the database: {named}"


@pytest.mark.parametrize("migrated", ["postgres"], indirect=True)
async def test_a_constraint_of_todos_own_stays_a_bug(migrated, tasks, ann, caplog):
    migrated.run(refusing("true", "NEW.title := ''"))
    with pytest.raises(psycopg.errors.CheckViolation):
        await tasks.create(ann, title=SECRET)
    assert caplog.messages == []


def test_todos_own_constraints_are_known_by_their_names(migrated_postgres):
    found = migrated_postgres.run(
        "SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
        " AND conrelid <> 'todo_alembic_version'::regclass"
        " UNION SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE indisunique AND relnamespace = 'public'::regnamespace AND indrelid <> 'todo_alembic_version'::regclass"
    )
    assert {name for (name,) in found} <= OUR_CONSTRAINTS
    assert len(found) > 20
