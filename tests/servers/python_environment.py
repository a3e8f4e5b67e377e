"""Virtual environments of the tests' own, installed by pip once per user and lock."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import venv
from functools import cache
from pathlib import Path

import pytest


@cache
def installed(requirements: Path) -> Path:
    """Return a virtual environment with what a lock of hashes names. Its scripts have no right path: use `-m`.

    Skips the test where pip cannot install it, for want of a network; fails it in CI (CI=true).
    """
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "todo-tests"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    done = cache_home / f"{requirements.parent.name}-python-{digest}"
    if done.exists():
        return done
    cache_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_home) as directory:
        making = Path(directory) / "making"
        venv.create(making, with_pip=True)
        pip = [making / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        ran = subprocess.run(
            [*pip, "--require-hashes", "--requirement", requirements], capture_output=True, text=True, check=False
        )
        if ran.returncode:
            sentence = f"pip could not install {requirements.parent.name}: {ran.stderr.strip()[-500:]}"
            pytest.fail(sentence) if os.environ.get("CI") == "true" else pytest.skip(sentence)
        try:
            making.rename(done)
        except OSError:  # another run was faster
            if not done.exists():
                raise
    return done
