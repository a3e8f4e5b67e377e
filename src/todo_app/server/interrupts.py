"""Ctrl-C before the server handles signals, and whether a closed terminal ends the service."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def held(number: signal.Signals) -> Iterator[None]:
    """Hold a signal back in this thread during the block, and in the processes that it starts; none is lost.

    Otherwise SIGINT raises KeyboardInterrupt in whatever runs: an import, whose traceback a worker then prints, or the
    start of the event loop, which then ends before the threads of the store.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def deliver_interrupts() -> None:
    """Receive SIGINT again, and at once what was held back. To be called when a handler is set."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def hangups_ignored() -> bool:
    """Return whether this process ignores SIGHUP, as one that nohup has started does, and its children with it."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
