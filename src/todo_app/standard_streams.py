"""Standard input, output and error of a command: closed, full, or with nobody at the other end."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))
"""Name and mode of each stream, at the place of its descriptor."""


class OutputError(Exception):
    """Standard output cannot be written; `str()` is one sentence that says why.

    `unread` is true if the reader of a pipe has ended, as `head` does after its lines, which is no fault.
    """

    def __init__(self, problem: OSError) -> None:
        super().__init__(f"the output cannot be written: {problem.strerror}")
        self.unread = isinstance(problem, BrokenPipeError)


def open_closed_streams() -> None:
    """Open each standard stream that is closed on the null device.

    Otherwise the next file gets its descriptor: the audit log, which writes to descriptor 2, would write into it.
    """
    for descriptor, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, which is this one
            os.set_inheritable(opened, True)  # noqa: FBT003  it takes no names; for the worker processes
            setattr(sys, name, os.fdopen(opened, mode, encoding="utf-8"))


@contextmanager
def output_checked() -> Iterator[None]:
    """Raise OutputError, not OSError, when standard output cannot be written; it is flushed at the end."""
    output = _Output(sys.stdout)
    with redirect_stdout(cast("IO[str]", output)):
        yield
        output.flush()


class _Output:
    """Standard output whose failures are an OutputError. After one, what is left goes to the null device."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`, or raise OutputError."""
        try:
            return self._stream.write(text)
        except OSError as problem:
            self._fail(problem)

    def flush(self) -> None:
        """Flush, or raise OutputError."""
        try:
            self._stream.flush()
        except OSError as problem:
            self._fail(problem)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  each member has its own type
        return getattr(self._stream, name)

    def _fail(self, problem: OSError) -> NoReturn:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())  # so that Python, at its end, can flush what it still holds
        os.close(null)
        raise OutputError(problem) from None
