"""Ways to break a database under a running service: unresolvable names, small disks."""

import contextlib
import subprocess
import sys
from contextlib import contextmanager

from servers import scratch
from servers.todo import Served
from support.faulty import SECRET

# The name of the database is looked up in a file, so that it can be forgotten while the service runs. Without this
# capability root is bound by permissions like everybody else.
WRAPPER = """
import ctypes, os, pathlib, socket, sys
import uvloop
names, looked_up, looked_up_by_loop = pathlib.Path(sys.argv[1]), socket.getaddrinfo, uvloop.Loop.getaddrinfo

def address(host):
    if host != "database.test":
        return host
    if found := names.read_text():
        return found
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

def getaddrinfo(host, *rest, **more):
    return looked_up(address(host), *rest, **more)

async def getaddrinfo_by_loop(loop, host, *rest, **more):
    return await looked_up_by_loop(loop, address(host), *rest, **more)

socket.getaddrinfo, uvloop.Loop.getaddrinfo = getaddrinfo, getaddrinfo_by_loop
if not sys.flags.isolated:  # what was dropped is gone from the next program on
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    os.execv(sys.executable, [sys.executable, "-I", *sys.argv])
from todo_app.cli import main
del sys.argv[1]
sys.exit(main())
"""


def served(directory, url, names):
    """`todo serve` through that wrapper."""
    wrapper, command = directory / "wrapper.py", directory / "todo"
    wrapper.write_text(WRAPPER)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{wrapper}" "{names}" "$@"\n')
    command.chmod(0o755)
    settings = {"TODO_JWT_SECRET": SECRET, "TODO_AUDIT_LOG": "audit.log"}
    return Served(directory, command=command, TODO_DATABASE_URL=url, **settings)


@contextmanager
def small_disk(megabytes, owner=None):
    """A directory that is a separate disk of `owner`; None if this user may not mount one."""
    directory = scratch.create()
    size = f"size={megabytes}m,mode=755"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "todo-test", directory], capture_output=True, check=False
    )
    try:
        if mounted.returncode == 0 and owner:
            owner.own(directory)
        yield None if mounted.returncode else directory
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", directory], check=True)
        scratch.remove(directory)


@contextmanager
def filled(disk):
    """Not a byte is free on the disk."""
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    yield
    (disk / "filler").unlink()
