"""Every statement that either engine is ever sent, read as text: whose rows it touches, and what it carries."""

import re
from collections import defaultdict
from itertools import chain

import pytest
import sqlalchemy as sa

from todo_adapters.sql import feed, lists, statements
from todo_adapters.sql.dialects import POSTGRESQL, SQLITE, text_of
from todo_adapters.sql.postgres.statements import batch as postgres_batch
from todo_adapters.sql.postgres.statements import edit as postgres_edit
from todo_adapters.sql.postgres.statements import writes
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.sqlite import texts as sqlite
from todo_adapters.sql.sqlite import writes as sqlite_writes
from todo_adapters.sql.tables import metadata, tasks

TABLES = "|".join(metadata.tables)
CAST = re.compile(
    r"%\((\w+)\)s"
    r"(::(?:VARCHAR|TEXT|BIGINT|INTEGER|SMALLINT|DATE|TIMESTAMP WITH TIME ZONE)(?:\[\])?(?: COLLATE \"C\")?)?"
)


def named(transaction):
    """The texts of a transaction with the names of its parameters, and without the casts that only travelling needs."""
    for statement in transaction.statements:
        names = [f"%({transaction.parameters[place]})s" for place in statement.parameter_indexes]
        text = re.sub(r"\$(\d+)", lambda number, names=names: names[int(number[1]) - 1], statement.text.decode())
        yield re.sub("::(BYTEA|BOOLEAN)", "", text)


@pytest.fixture(scope="module")
def transactions():
    """Every transaction that PostgreSQL is sent. Each process of a run collects this file; one makes the texts."""
    from todo_adapters.sql.postgres.statements import citus_writes
    from todo_adapters.sql.postgres.statements import transactions as postgres

    return postgres.all_transactions() | citus_writes.all_transactions()


@pytest.fixture(scope="module")
def beginnings():
    """The statements that begin a transaction: one that reads, and one that writes."""
    (context,), (lock,) = named(Transaction()), named(Transaction(writes=True))
    return context, lock


@pytest.fixture(scope="module")
def every_statement(transactions, beginnings):
    """Each statement of both engines by a name."""
    split = {
        f"postgresql: {name} {n}": text
        for name, transaction in transactions.items()
        for n, text in enumerate(named(transaction))
    }
    return {name: text for name, text in split.items() if text not in beginnings} | {
        f"sqlite: {name}": text for name, text in sqlite.all_texts().items()
    }


def plain(sql):
    """The statement with its parameters in one spelling, without the casts that PostgreSQL needs."""
    return CAST.sub(r":\1", sql)


def scopes(sql):
    """The text of each pair of parentheses, and what is around all of them, each without what is inside its own."""
    stack, done = [""], []
    for character in sql:
        if character == "(":
            stack.append("")
        elif character == ")":
            done.append(stack.pop())
            stack[-1] += "()"
        else:
            stack[-1] += character
    assert len(stack) == 1, "unbalanced parentheses"
    return done + stack


def unpinned(sql):
    """The tables, by the names they have in it, of which a statement may touch anybody's rows."""
    found = []
    for scope in scopes(plain(sql)):
        where = scope.rpartition(" WHERE ")[2] if " WHERE " in scope else ""
        for table, alias in re.findall(rf"\b(?:FROM|JOIN|UPDATE) ({TABLES})\b(?: AS (\w+))?", scope):
            owner = "id" if table == "users" else "user_id"
            pinned = f"{alias or table}.{owner} = :owner"
            if " OR " in where or pinned not in re.split(r" AND | ORDER BY | RETURNING | FOR ", where):
                found.append(alias or table)
    return found


def inserts(sql):
    """For each INSERT: the table, its first column, and what goes into that."""
    into = rf"INSERT INTO ({TABLES}) \((\w+)[^)]*\) (?:VALUES \(|SELECT )([^,]+?)(?: AS \w+)?,"
    return re.findall(into, plain(sql))


def test_the_reader_of_statements_sees_what_is_missing():
    assert unpinned("SELECT 1 FROM tasks WHERE tasks.id = :id") == ["tasks"]
    assert unpinned("DELETE FROM tasks WHERE tasks.user_id = :owner OR tasks.id = :id") == ["tasks"]
    assert unpinned("SELECT 1 FROM users JOIN tasks ON 1 = 1 WHERE users.id = :owner") == ["tasks"]
    assert unpinned("SELECT 1 FROM users AS u WHERE users.id = :owner") == ["u"]
    assert unpinned("UPDATE users SET id=:owner WHERE (users.id = :owner OR true)") == ["users"]
    assert unpinned("SELECT 1 FROM tasks WHERE tasks.user_id = %(owner)s::VARCHAR AND x IN (SELECT 1 FROM users)") == [
        "users"
    ]
    assert unpinned("SELECT 1 FROM tasks WHERE tasks.user_id = %(owner)s::VARCHAR AND true") == []


def test_a_statement_names_its_user_for_every_table_it_touches(every_statement):
    assert {name: found for name, sql in every_statement.items() if (found := unpinned(sql))} == {}


def test_a_row_is_inserted_for_the_user_and_nobody_else(every_statement):
    for name, sql in every_statement.items():
        found = inserts(sql)
        assert len(found) == sql.count("INSERT INTO"), name
        for table, column, value in found:
            assert column == ("id" if table == "users" else "user_id"), name
            # Citus has a node run a statement whole only if the user is a column, which is pinned to the user as well.
            assert value.strip() in {":owner", *(("users.id", "tasks.user_id") if "on Citus" in name else ())}, name


def test_no_two_tables_are_joined_by_a_comma(every_statement):
    # the reader above would see only the first of them
    comma = re.compile(rf"\b(?:FROM|UPDATE) (?:{TABLES})(?: AS \w+)?,")
    assert [name for name, sql in every_statement.items() if comma.search(sql)] == []


def test_only_the_counter_of_ids_belongs_to_nobody(every_statement):
    others = {
        table
        for sql in every_statement.values()
        for table in re.findall(r"(?:FROM|JOIN|UPDATE|INTO) (\w+)", plain(sql))
    }
    in_statements = {
        "live",
        "gone",
        "page",
        "change",
        "within_quota",
        "made",
        "advanced",
        "json_each",
        "SET",
        "oldest",
        "taken",
        "trash_rows",
        "kept",
        "due",
        "forgotten",
        "thrown_away",
    }
    in_statements |= {"json_to_recordset", "unnest", "named"}
    assert others - set(metadata.tables) - in_statements == {"task_ids"}


@pytest.mark.parametrize("key", ["", " by uid"])
@pytest.mark.parametrize("column", postgres_edit.EDITABLE)
def test_an_edit_of_one_column_carries_no_other(transactions, column, key):
    parameters = set(transactions[f"edit of {column}{key}"].parameters)
    assert parameters & set(statements.MEMBERS) == {column, f"{column}_key"} & set(statements.MEMBERS)
    assert not {name for name in parameters if name.startswith("with_")}


@pytest.mark.parametrize(
    ("members", "given"),
    [
        ({"title": "x"}, ["title"]),
        ({"completed": False}, ["completed_at"]),
        ({"status": "complete", "completed": True}, ["completed_at"]),
        ({"description": None, "revision": 3}, ["description"]),
        ({"revision": 3}, []),
        ({"tags": (), "title": "x"}, ["title", "tags"]),
    ],
)
def test_the_columns_that_an_edit_gives_are_those_of_its_members(members, given):
    assert postgres_edit.columns_given(members) == given


def test_no_statement_of_these_modules_goes_unread(every_statement):
    written = {
        module: {value for value in vars(module).values() if _complete(value)}
        for module in (statements, feed, writes, postgres_batch, postgres_edit, sqlite_writes)
    }
    read = "\n".join(every_statement.values())
    for statement in written[writes] | written[postgres_batch] | written[postgres_edit]:
        assert text_of(statement, POSTGRESQL) in read
    for statement in chain(written[statements], written[feed], written[sqlite_writes]):
        assert text_of(statement, SQLITE) in read


def _complete(value):
    return isinstance(value, sa.Select | sa.CompoundSelect | sa.Insert | sa.Update | sa.Delete)


def test_there_is_a_statement_for_every_order_filter_and_kind_of_cursor():
    assert len(set(lists.all_shapes())) == 2 * (7 * 2 * 2 + 2 * 2)


def test_a_statement_goes_by_a_name_that_no_other_text_has(transactions):
    texts = defaultdict(set)
    for transaction in transactions.values():
        for statement in transaction.statements:
            texts[statement.name].add(statement.text)
    assert {name: different for name, different in texts.items() if len(different) > 1} == {}


def test_a_transaction_begins_by_saying_who_is_acting(transactions, beginnings):
    context, lock = beginnings
    for name, transaction in transactions.items():
        assert next(named(transaction)) == (lock if transaction.writes else context), name
    for setting in (
        "'role', 'todo_app', true",
        "'todo.user_id', %(owner)s::VARCHAR, true",
        "'statement_timeout', %(timeout)s",
    ):
        assert setting in context
        assert setting in lock
    assert "pg_advisory_xact_lock(hashtextextended(%(owner)s::VARCHAR, " in lock
    assert "'lock_timeout', %(lock_timeout)s" in lock


def test_a_transaction_knows_whether_it_writes(transactions):
    for transaction in transactions.values():
        texts = " ".join(named(transaction))
        assert transaction.writes == bool(re.search(r"\b(?:INSERT INTO|DELETE FROM|UPDATE \w+ SET)\b", texts))


def test_what_may_look_at_every_task_of_a_user_travels_alone(transactions):
    assert transactions["state"].alone
    assert transactions["page by title behind nothing"].alone
    assert transactions["page by -created_at behind value, filtered"].alone
    assert not transactions["page by -created_at behind value"].alone
    assert not transactions["get"].alone


def test_a_statement_with_a_value_of_its_own_is_refused():
    with pytest.raises(TypeError, match="title_1"):
        Transaction(sa.select(tasks.c.id).where(tasks.c.title == "mine"))


def test_parameters_of_one_name_are_of_one_type(transactions):
    for name, transaction in transactions.items():
        casts = {}
        for parameter, cast in CAST.findall(" ".join(named(transaction))):
            casts.setdefault(parameter, set()).add(cast)
        assert all(len(kinds) == 1 for kinds in casts.values()), (name, casts)


def insertion(sql, begin):
    """The INSERT of a statement that begins there, to the end of the parenthesis that it stands in."""
    depth = 0
    for end, letter in enumerate(sql[begin:], begin):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            return sql[begin:end]
    return sql[begin:]


def test_each_insertion_returns_rows_or_meets_conflicts(every_statement):
    """Citus works off any other INSERT with SELECT by a COPY into the shard, which row-level security forbids."""
    insertions = [
        (name, insertion(sql, found.start()))
        for name, sql in every_statement.items()
        if name.startswith("postgresql")
        for found in re.finditer("INSERT INTO", sql)
    ]
    assert insertions
    assert [(name, text) for name, text in insertions if "RETURNING" not in text and "ON CONFLICT" not in text] == []
