"""The service under test: real processes on a port that stays theirs, however often they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Final

from servers.processes import reserve_port
from servers.todo import Served, todo, token_for

SECRET: Final = "0123456789abcdef0123456789abcdef"
_TIMEOUT: Final = 60  # seconds for a start, on a machine that does much else


class Service:
    """`todo serve` with some workers. `absences` counts how often it is our doing that it is `away`."""

    def __init__(self, directory: Path, *, workers: int, url: str, direct_url: str | None = None) -> None:
        self.port, self._holder = reserve_port()
        self.away = False
        self.absences = 0
        self._directory = directory
        self._workers = workers
        self._settings = {"TODO_JWT_SECRET": SECRET, "TODO_DATABASE_URL": url, "TODO_WORKERS": str(workers)}
        self._migrating = self._settings | ({"TODO_DATABASE_DIRECT_URL": direct_url} if direct_url else {})
        self._expected = 0
        self._served: Served | None = None
        self.start_seconds: list[float] = []

    def start(self) -> None:
        """Start the processes and return once they are ready."""
        began = time.monotonic()
        self._served = Served(self._directory, port=self.port, **self._settings)
        self._served.process.wait_for_http(f"{self._served.origin}/health/ready", seconds=_TIMEOUT)
        self._expected = self._workers
        self._wait_for_workers()
        self.start_seconds.append(time.monotonic() - began)

    def close(self) -> None:
        """End the processes, which must leave in order."""
        try:
            assert self._running.process.stop(seconds=40) == 0, self._running.process.stderr[-2000:]
        finally:
            self._running.process.kill()
            self._holder.close()

    @property
    def origin(self) -> str:
        """Where it answers."""
        return self._running.origin

    @property
    def log(self) -> str:
        """What all the processes have written to their standard error."""
        return (self._directory / "serve.err").read_text(errors="replace")

    def token(self, user: str) -> str:
        """Return a token for an hour."""
        return token_for(user, SECRET)

    def resident(self) -> dict[int, float]:
        """Return how much memory each process that serves holds, in MB."""
        pids = self._pids() if self._workers > 1 else [self._running.process.pid]
        listing = _ps("-o", "pid=,rss=", "-p", ",".join(map(str, pids)))
        return {int(pid): int(kilobytes) / 1024 for pid, kilobytes in map(str.split, listing)}

    # What befalls its processes

    def restart(self, _: Random) -> None:
        """Ask it to leave, as a release does, and start it again."""
        self._go_away()
        try:
            assert self._running.process.stop(seconds=40) == 0, "it must leave in order"
            self.start()
        finally:
            self.away = False

    def kill(self, _: Random) -> None:
        """Kill all its processes at once, and start it again."""
        self._go_away()
        try:
            self._running.process.kill()
            self.start()
        finally:
            self.away = False

    def kill_a_worker(self, random: Random) -> None:
        """Kill one of the workers; the others go on at once."""
        self._go_away()
        self._expected += 1
        os.kill(random.choice(self._pids()), signal.SIGKILL)

    def recover(self) -> None:
        """Return once a worker that was killed has been replaced."""
        if self.away:
            self._wait_for_workers()
            self.away = False

    def migrate(self, random: Random) -> None:
        """Run `todo migrate` several times at once, of which none has anything to do."""
        with ThreadPoolExecutor() as pool:
            runs = [
                pool.submit(todo, "migrate", cwd=self._directory, **self._migrating)
                for _ in range(random.randint(2, 3))
            ]
        for run in runs:
            assert run.result().returncode == 0, run.result().stderr

    # How

    def _go_away(self) -> None:
        self.absences += 1
        self.away = True

    @property
    def _running(self) -> Served:
        assert self._served is not None
        return self._served

    def _pids(self) -> list[int]:
        listing = _ps("-o", "pid=,args=", "--ppid", str(self._running.process.pid))
        return [int(line.split()[0]) for line in listing if "spawn_main" in line]

    def _wait_for_workers(self) -> None:
        process = self._running.process
        process.wait_until(lambda: process.stderr.count('"event": "start"') >= self._expected, seconds=_TIMEOUT)


def _ps(*arguments: str) -> list[str]:
    listing = subprocess.run(["ps", "-ww", *arguments], capture_output=True, text=True, check=False)
    return listing.stdout.splitlines()
