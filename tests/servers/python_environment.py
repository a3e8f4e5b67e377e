"""Virtual environments of the tests' own, installed by pip once per user and lock."""

from __future__ import annotations

import subprocess
import venv
from functools import cache
from pathlib import Path

from servers import install_cache


@cache
def installed(requirements: Path) -> Path:
    """Return a virtual environment with what a lock of hashes names. Its scripts have no right path: use `-m`.

    Skips or fails the test as `install_cache.installed` does.
    """

    def install(making: Path) -> subprocess.CompletedProcess[str]:
        venv.create(making, with_pip=True)
        pip = [making / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        return subprocess.run(
            [*pip, "--require-hashes", "--requirement", requirements], capture_output=True, text=True, check=False
        )

    return install_cache.installed(f"{requirements.parent.name}-python", requirements.read_bytes(), install)
