"""`make check` finds a file that has no place among the rooms, and an import that its room may not make."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
STRAYS = {
    "todo_adapters/stray.py": "",
    "todo_adapters/http/stray.py": "",
    "todo_adapters/sql/stray.py": "import todo_adapters.http.application",
    "todo_adapters/sql/sqlite/stray.py": "import todo_adapters.sql.postgres.connections.pool",
    "todo_adapters/auth/stray.py": "import sqlalchemy, litestar",
    "todo_adapters/memory/store.py": "import uvicorn",
    "todo_adapters/audit.py": "import prometheus_client, jwt",
    "todo_adapters/observability/stray.py": "import todo_adapters.sql.tables, icalendar",
    "todo_adapters/sql/postgres/stray.py": "",
    "todo_app/stray.py": "",
    "todo_domain/stray.py": "import msgspec, todo_app.settings",
}


def test_a_stray_file_and_a_stray_import_break_every_contract(tmp_path):
    shutil.copytree(CHECKOUT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    for path, text in STRAYS.items():
        with (tmp_path / "src" / path).open("a") as file:
            file.write(f"\n{text}\n")
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert re.findall(r"^(.*) KEPT$", ran.stdout, re.MULTILINE) == [], ran.stdout
    for stray in ("todo_adapters.stray", "todo_adapters.http.stray", "todo_adapters.sql.stray", "todo_app.stray"):
        assert stray in ran.stdout.replace("\n", ""), ran.stdout
