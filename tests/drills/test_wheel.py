"""The wheel, installed where nothing of the checkout is: it serves, and brings its migrations."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from servers.todo import Served
from todo_adapters.sql.schema import REVISIONS

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built without fetching anything."""
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            directory,
            CHECKOUT,
        ],
        check=True,
        timeout=120,
    )
    return next(directory.glob("*.whl"))


def test_the_wheel_holds_the_migrations_and_the_types(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "todo_adapters/sql/alembic/env.py" in names
    migrated = {name.rpartition("/")[2][:4] for name in names if "/alembic/versions/" in name}
    assert migrated == set(REVISIONS)
    assert {f"todo_{part}/py.typed" for part in ("domain", "adapters", "app")} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]


def test_the_installed_wheel_serves(wheel, tmp_path):
    """Its dependencies are those of the running Python, added by path; of the project there is only the wheel."""
    place = tmp_path / "venv"
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True, timeout=120)
    site_packages = next(place.glob("lib/python*/site-packages"))
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = subprocess.run(
        [python, "-c", "import todo_app; print(todo_app.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert where.stdout.startswith(str(place))
    with Served(tmp_path, command=place / "bin" / "todo") as served:
        assert served.request("POST", "/api/me/tasks", served.token("ann"), {"title": "x"}).status == 201
