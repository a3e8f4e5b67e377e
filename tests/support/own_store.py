"""The store of examples/python in a project of its own, as docs/python.md says how to make one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_CHECKOUT: Final = Path(__file__).parents[2]
EXAMPLES: Final = _CHECKOUT / "examples/python"


def passed(directory: Path, pyproject: str, *arguments: str) -> int:
    """Run the store's contract in a project in this directory, with these arguments of pytest; return what passed."""
    project = directory / "project"
    shutil.copytree(EXAMPLES, project, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "pyproject.toml").write_text(pyproject.replace("../todo", str(_CHECKOUT)))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=project,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    found = re.search(r"(\d+) passed", ran.stdout)
    assert found
    return int(found[1])
