"""A migration after the newest one, as in a later release: it adds columns to a table that is in use.

It stands in the way from a release to the one after it, whatever the real migrations are.
"""

from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from todo_adapters.sql import migrations, schema

NEXT = "9000"

_SCRIPT = '''"""A column with a rule: expand only, each step may be repeated."""

from alembic import op

revision = "{next}"
down_revision = "{head}"


def upgrade():
    if op.get_context().dialect.name == "sqlite":
        op.execute("ALTER TABLE tasks ADD COLUMN weight INTEGER DEFAULT 0 NOT NULL CHECK (weight >= 0)")
        op.execute("ALTER TABLE tasks ADD COLUMN height INTEGER DEFAULT 0 NOT NULL CHECK (height >= 0)")
        return
    op.execute("ALTER TABLE tasks ADD COLUMN IF NOT EXISTS weight integer DEFAULT 0 NOT NULL")
    op.execute("ALTER TABLE tasks DROP CONSTRAINT IF EXISTS tasks_weight_range")
    op.execute("ALTER TABLE tasks ADD CONSTRAINT tasks_weight_range CHECK (weight >= 0) NOT VALID")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = '5s'")
        op.execute("ALTER TABLE tasks VALIDATE CONSTRAINT tasks_weight_range")
        op.execute("SET lock_timeout = '200ms'")


def downgrade():
    op.drop_column("tasks", "weight")
    if op.get_context().dialect.name == "sqlite":
        op.drop_column("tasks", "height")
'''


_STARTED = """
from pathlib import Path
from todo_adapters.sql import migrations, schema

migrations.scripts = lambda: Path({scripts!r})
schema.REVISIONS = {revisions!r}
"""


def add_next_migration(folder: Path, patch: pytest.MonkeyPatch) -> str:
    """Make this process know one migration more, with all of them in `folder`, and return its revision.

    So does every Python that starts with `folder` as its PYTHONPATH.
    """
    scripts = folder / "migrations"
    copytree(migrations.scripts(), scripts, ignore=ignore_patterns("__pycache__"))
    (scripts / "versions" / f"{NEXT}_next.py").write_text(_SCRIPT.format(next=NEXT, head=schema.head()))
    revisions = (*schema.REVISIONS, NEXT)
    (folder / "sitecustomize.py").write_text(_STARTED.format(scripts=str(scripts), revisions=revisions))
    patch.setattr(migrations, "scripts", lambda: scripts)
    patch.setattr(schema, "REVISIONS", revisions)
    return NEXT
