"""The secret of a deployment that has none configured, for trying the service out: made once and kept in a file."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Final, NamedTuple

from todo_adapters.auth.keys import SHORTEST_SECRET
from todo_app.settings import parsers
from todo_app.settings.table import BadSetting

if TYPE_CHECKING:
    from todo_app.settings.table import Settings

_MODE: Final = 0o600


class MachineSecret(NamedTuple):
    """The secret, the file that keeps it, and whether this call made it."""

    secret: str
    file: Path
    made: bool


def secret_file(settings: Settings) -> Path:
    """Return the file that keeps the secret: beside the SQLite file, or in the working directory."""
    file = settings.database.file
    return Path("todo.secret") if file is None else file.with_name(file.name + ".secret")


def machine_secret(settings: Settings) -> MachineSecret:
    """Return the secret made for this machine. The first call makes it, in a file that only its owner may read.

    Raises BadSetting if other machines can reach the host, because that needs a configured secret, and if the file is
    unreadable or accessible to other users.
    """
    _require_loopback(settings)
    path = secret_file(settings)
    try:
        made = _make(path)
    except OSError as problem:
        if settings.database.file is not None:  # the tasks would be beside it
            raise BadSetting(
                f"TODO_DATABASE_URL: {path.parent} must be a directory that this user may write to: {problem.strerror}"
            ) from None
        raise BadSetting(f"TODO_JWT_SECRET is not set, and {path} cannot be written: {problem.strerror}") from None
    return MachineSecret(_usable(path), path, made)


def kept_secret(settings: Settings) -> MachineSecret:
    """Return the secret that `machine_secret` has made; if there is none, one that signs no token, and make no file.

    Raises BadSetting as `machine_secret` does.
    """
    _require_loopback(settings)
    path = secret_file(settings)
    return MachineSecret(_usable(path) if path.exists() else token_urlsafe(48), path, made=False)


def _require_loopback(settings: Settings) -> None:
    if not settings.loopback:
        raise BadSetting(
            f"TODO_JWT_SECRET, or TODO_JWT_ISSUER with TODO_JWT_AUDIENCE, must be set to serve on {settings.host}: "
            "others can reach it"
        )


def _usable(path: Path) -> str:
    """Return the secret in the file. Raises BadSetting if it is none, or if others can read it."""
    try:
        secret, found = _read(path)
    except OSError as problem:
        raise BadSetting(f"TODO_JWT_SECRET is not set, and {path} cannot be read: {problem.strerror}") from None
    except ValueError:
        raise BadSetting(
            f"TODO_JWT_SECRET is not set, and {path} holds no secret of at least {SHORTEST_SECRET} bytes: "
            "remove the file, and the next start makes another"
        ) from None
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        whose = "belongs to another user" if found.st_uid != os.geteuid() else "may be used by others than its owner"
        raise BadSetting(
            f"TODO_JWT_SECRET is not set, and {path} {whose}: remove the file, and the next start makes another"
        )
    return secret


def _make(path: Path) -> bool:
    """Make the file with a new secret, atomically, unless it exists; return whether this call made it."""
    if path.exists():
        return False
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w") as file:
            file.write(token_urlsafe(48))
        try:
            os.link(part, path)
        except FileExistsError:  # another process was first
            return False
        except OSError:  # a file system without links
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return True


def _read(path: Path) -> tuple[str, os.stat_result]:
    """Return the secret in the file, and the file's owner and mode. Raises OSError and ValueError."""
    with path.open() as file:
        (secret,) = parsers.secrets(file.read())
        return secret, os.fstat(file.fileno())
