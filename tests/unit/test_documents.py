"""The documents are true where a machine can tell: tables, numbers, SQL, and the files that they name."""

import re
from pathlib import Path

import pytest

from todo_adapters.observability.metrics import Metrics
from todo_adapters.sql.tables import metadata
from todo_app.backup import AFTER_RESTORE

CHECKOUT = Path(__file__).parents[2]
DOCS = sorted((CHECKOUT / "docs").glob("*.md"))
OPERATIONS = (CHECKOUT / "docs/operations.md").read_text()


@pytest.mark.parametrize("table", metadata.tables.values(), ids=str)
def test_the_data_model_names_every_column_and_index(table):
    page = (CHECKOUT / "docs/data-model.md").read_text()
    section = page.split(f"### `{table.name}`")[1].split("\n#")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(table.columns.keys())
    assert all(f"`{index.name}`" in section for index in table.indexes)
    key = ", ".join(table.primary_key.columns.keys())
    assert f"Primary key `({key})`" in section or f"`{key}` | the token's `sub`; primary key" in section


def test_every_number_is_explained():
    class Pool:
        def connections(self):
            return {"busy": 0, "idle": 0, "limit": 0, "waiting": 0}

    told = set(re.findall(r"^# TYPE (todo_\w+)", Metrics(Pool()).text().decode(), re.MULTILINE))
    assert set(re.findall(r"^\| `(todo_\w+)`", OPERATIONS, re.MULTILINE)) == told


@pytest.mark.parametrize("kind", AFTER_RESTORE)
def test_the_sql_after_a_restore_is_the_one_that_is_printed(kind):
    assert f"```sql\n{AFTER_RESTORE[kind]}```" in OPERATIONS


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_the_files_and_sections_that_a_document_names_are_there(document):
    text = document.read_text()
    for named in re.findall(r"`((?:tests|src|deploy|docs|migrations)/[\w./-]+)`", text):
        assert (CHECKOUT / named).exists(), named
    for target, section in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", text):
        linked = (document.parent / target) if target else document
        assert linked.exists(), target
        if section:
            titles = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            assert section in {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
