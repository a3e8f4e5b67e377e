"""Sends the requests of a work over some connections for some time."""

from __future__ import annotations

from pathlib import Path

from servers.wrk import Outcome, Wrk, WrkError


class LoadError(RuntimeError):
    """A request was answered with an error, or not at all, so the figures are invalid."""


def send(port: int, file: Path, *, connections: int, seconds: float, number: int) -> Outcome:
    """Send the requests of a file; each connection sends the next one after a response.

    The numbers in the bodies begin with `number`. Raises LoadError if any response is not a success.
    """
    try:
        with Wrk(port, file, connections=connections, seconds=seconds, number=number) as wrk:
            return faultless(wrk.outcome())
    except WrkError as problem:
        raise LoadError(str(problem)) from None


def faultless(outcome: Outcome) -> Outcome:
    """Return the outcome if every request was answered with a success; else raise LoadError."""
    wrong = outcome.refused + outcome.broken
    if wrong or not outcome.requests:
        raise LoadError(f"{wrong} of {outcome.requests} requests were not answered with a success")
    return outcome
