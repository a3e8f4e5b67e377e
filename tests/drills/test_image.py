"""The steps of the image, without a container engine: what they install serves, and its health check tells."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest

from servers.todo import Served
from support.dockerfile import CHECKOUT, dockerfile, sources

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.long
def test_the_steps_of_the_image_make_a_service_that_its_health_check_finds_well(tmp_path):
    """The locked packages are those of the running Python, added by path: `make` installs them as the image does."""
    context, place = tmp_path / "build", tmp_path / "todo"
    context.mkdir()
    for source in sources():
        copy = shutil.copytree if (CHECKOUT / source).is_dir() else shutil.copy
        copy(CHECKOUT / source, context / source)
    steps = [rest for word, rest in dockerfile() if word == "RUN" and "pip" in rest]
    assert "--require-hashes" in steps[0]
    venv.create(place, with_pip=True)
    site_packages = next(place.glob("lib/python*/site-packages"))
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for step in steps[1:]:
        command = step.replace("/opt/todo", str(place)).replace("/build", str(context))
        subprocess.run(["sh", "-c", command], check=True, timeout=120, cwd=tmp_path, capture_output=True)
    (check,) = (rest for word, rest in dockerfile() if word == "HEALTHCHECK")
    python, option, program = json.loads(check[check.index("[") :])
    assert (python, option) == ("python", "-c")
    assert re.search(r"\b8000\b", program)

    def status(**settings):
        ran = [sys.executable, "-c", program]
        return subprocess.run(ran, env=settings, check=False, timeout=20, capture_output=True).returncode

    with Served(tmp_path, command=place / "bin" / "todo", TODO_JWT_SECRET=SECRET) as served:
        port = str(served.port)
        assert status(TODO_PORT=port) == status(PORT=port) == status(TODO_PORT=port, PORT="1") == 0
        assert status(TODO_PORT="1", PORT=port) != 0
    assert status(TODO_PORT=port) != 0
