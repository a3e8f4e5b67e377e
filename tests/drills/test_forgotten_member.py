"""A member that is added to a task and forgotten somewhere is an error of the type checker, not of a request."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
PLACES = {
    ("todo_domain/task.py", "new_task"),
    ("todo_adapters/sql/task_columns.py", "columns"),
    ("todo_adapters/sql/task_columns.py", "task_from_postgresql"),
    ("todo_adapters/sql/task_columns.py", "task_from_sqlite"),
    ("todo_adapters/http/protocol/task_json.py", "task_out"),
    ("todo_adapters/http/openapi/examples.py", "<module>"),
}


def function_at(path: Path, line: int) -> str:
    """The name of the function that a line of a file is in."""
    above = path.read_text().splitlines()[:line]
    heads = (re.match(r"(?:async )?def (\w+)|([A-Z]\w*)[:= ]", text) for text in reversed(above))
    head = next(match for match in heads if match)
    return head[1] or "<module>"


def test_the_type_checker_names_every_place_that_a_new_member_has_to_go_to(tmp_path):
    shutil.copytree(CHECKOUT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    known = CHECKOUT / ".mypy_cache"
    if known.exists():  # what `make check` has found of the libraries: it is most of the work
        shutil.copytree(known, tmp_path / ".mypy_cache")
    task = tmp_path / "src/todo_domain/task.py"
    text = task.read_text()
    grown = text.replace("    tags: tuple[str, ...]\n", "    tags: tuple[str, ...]\n    color: str\n", 1)
    assert grown != text
    task.write_text(grown)
    packages = ["-p", "todo_domain", "-p", "todo_adapters.sql", "-p", "todo_adapters.http"]
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--no-pretty", *packages],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = re.findall(r"^(\S+?):(\d+): error", ran.stdout, re.MULTILINE)
    named = {(path.removeprefix("src/"), function_at(tmp_path / path, int(line))) for path, line in found}
    assert named == PLACES, ran.stdout
