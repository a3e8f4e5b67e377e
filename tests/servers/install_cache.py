"""What package managers install for the tests, once per user and lock."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest


def installed(name: str, contents: bytes, install: Callable[[Path], subprocess.CompletedProcess[str]]) -> Path:
    """Return the directory in which `install` has put what a lock of these contents names.

    `install` gets a path where nothing is yet, and is not called if it succeeded before. If it fails, for want of a
    network, the test is skipped; in CI (CI=true) it fails.
    """
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "todo-tests"
    done = cache_home / f"{name}-{hashlib.sha256(contents).hexdigest()[:16]}"
    if done.exists():
        return done
    cache_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_home) as directory:
        making = Path(directory) / "making"
        ran = install(making)
        if ran.returncode:
            sentence = f"{name} could not be installed: {ran.stderr.strip()[-500:]}"
            pytest.fail(sentence) if os.environ.get("CI") == "true" else pytest.skip(sentence)
        try:
            making.rename(done)
        except OSError:  # another run was faster
            if not done.exists():
                raise
    return done
