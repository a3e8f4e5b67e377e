"""Adding a member to a task: the places that mypy and ruff cannot name. `make check` runs this file, too."""

import re

import pytest

from todo_adapters.http.protocol.schemas import TaskPut
from todo_adapters.http.protocol.task_json import EXPECTED, Settable, TaskOut
from todo_adapters.sql import migrations
from todo_adapters.sql.tables import metadata, tasks
from todo_adapters.sql.task_columns import Columns
from todo_domain.task import RULES, Members, Task

SETTABLE = Members.__annotations__.keys() - {"revision"}


def test_every_member_has_a_rule_in_the_domain():
    assert RULES.keys() == Members.__annotations__.keys()


def test_every_member_may_be_sent_and_has_a_sentence_for_what_it_must_be():
    assert set(Settable.__struct_fields__) == SETTABLE
    assert EXPECTED.keys() == SETTABLE


def test_a_client_sees_every_field_and_member_of_a_task():
    assert set(TaskOut.__struct_fields__) == {*Task._fields, *SETTABLE}


def test_a_put_may_carry_everything_that_a_client_sees():
    assert set(TaskPut.__struct_fields__) == set(TaskOut.__struct_fields__)


def test_every_field_has_a_column_and_every_column_is_written():
    given = {"user_id", "id", "uid", "revision", "created_at", "updated_at"}
    assert set(tasks.columns.keys()) == given | Columns.__annotations__.keys()
    assert set(Task._fields) <= set(tasks.columns.keys())


@pytest.fixture(scope="module")
def sql():
    return migrations.offline_sql("postgresql://nowhere/todo")


@pytest.mark.parametrize("table", metadata.tables.values(), ids=str)
def test_every_column_is_added_by_a_migration(sql, table):
    made = "".join(re.findall(rf"^(?:CREATE|ALTER) TABLE {table.name} .*?;$", sql, re.MULTILINE | re.DOTALL))
    added = set(re.findall(r"^\s+(\w+) |ADD COLUMN (\w+) ", made, re.MULTILINE))
    assert {column.name for column in table.columns} <= {name for pair in added for name in pair}
