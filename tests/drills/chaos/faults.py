"""What can befall a service, and how long it lasts."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from chaos.service import Service


class Fault(NamedTuple):
    """Something that breaks and is mended again: `strike` returns once it is. `ends`: processes of the service end."""

    name: str
    strike: Callable[[Random], None]
    ends: bool = False


class Lasting:
    """How long faults last: at most `longest` seconds."""

    def __init__(self, longest: float) -> None:
        self._longest = longest

    def hold(self, random: Random) -> None:
        """Leave it broken for a while: mostly a short one, now and then longer than anybody waits for a response."""
        time.sleep(0.1 + (self._longest - 0.1) * random.random() ** 2)


def of_processes(service: Service, *, workers: int) -> list[Fault]:
    """Return what befalls the service's own processes."""
    faults = [
        Fault("SIGTERM, then a new start", service.restart, ends=True),
        Fault("kill -9 of the whole service", service.kill, ends=True),
        Fault("several todo migrate at once", service.migrate),
    ]
    if workers > 1:
        faults.append(Fault("kill -9 of one worker", service.kill_a_worker, ends=True))
    return faults
