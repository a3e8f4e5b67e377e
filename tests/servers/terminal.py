"""A program as a person runs it: on a terminal, where Ctrl-C reaches it and everything that it has started."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_BECOME_FOREGROUND: Final = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A program on a terminal of its own; as a context manager, killed on exit if it still runs."""

    def __init__(self, command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._text = b""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BECOME_FOREGROUND, *map(str, command)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """What the terminal has shown so far, with line ends as a file has them."""
        return self._text.decode(errors="replace").replace("\r\n", "\n")

    def wait_for(self, text: str, *, seconds: float = 60) -> str:
        """Return what the terminal has shown once `text` is in it; AssertionError if the program ends without it."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            assert self._read(deadline), self.text
        return self.text

    def press_ctrl_c(self) -> None:
        """Interrupt what runs on the terminal."""
        os.write(self._ours, b"\x03")

    def end(self, *, seconds: float = 60) -> int:
        """Return the status of the program once it has ended and the terminal has shown everything."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self._process.wait(timeout=seconds)

    def _read(self, deadline: float) -> bool:
        """Take what the terminal shows next; return whether it came before the end and the deadline."""
        if not select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        try:
            piece = os.read(self._ours, 65_536)
        except OSError:  # Linux says so where others return nothing
            return False
        self._text += piece
        return bool(piece)
