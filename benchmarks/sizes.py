"""The same requests to a database of ten thousand tasks and to one of ten million, one after the other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, gettempdir
from typing import Final, NamedTuple

from benchmarks import contenders, works
from benchmarks.contenders import Running
from benchmarks.data import TASKS, Data, create_ours, fill_ours, first_task, user_name
from benchmarks.load import LoadError, send
from benchmarks.works import Request
from servers.postgres import DURABLE, PostgresServer

SMALL: Final = 100
LARGE: Final = 100_000
"""Users, of TASKS each."""

DEEP: Final = LARGE + 1
"""An additional user in the large database, with DEEP_TASKS."""

DEEP_TASKS: Final = 10_000
PAGE: Final = 50

_CHUNK: Final = 5_000
_AT_ONCE: Final = 2
_NEEDED: Final = 10 * 2**30
"""Bytes of disk: what is filled, its indexes and the log of that."""

_ASKED: Final = 50
"""Users in a run; in the large database, others in every round."""


class Side(NamedTuple):
    """A database, how many users it has, and the service in front of it."""

    users: int
    running: Running


class Sides(NamedTuple):
    """Both databases, and the place of their files."""

    small: Side
    large: Side
    data: Data


@contextmanager
def prepared(tell: Callable[[str], None]) -> Iterator[Sides]:
    """Fill both databases, serve both, and remove everything. Raises LoadError if the disk is too small for that."""
    if shutil.disk_usage(gettempdir()).free < _NEEDED:
        raise LoadError(
            f"ten million tasks need {_NEEDED // 2**30} GB of disk for a while: set TMPDIR to where they are"
        )
    # The log may grow while the rows come in; nothing else differs from the defaults.
    settings = {**DURABLE, "max_wal_size": "4GB"}
    with PostgresServer(settings=settings) as server, TemporaryDirectory(prefix="todo-growth-") as name:
        data = Data(server, Path(name))
        for database in ("small", "large"):
            create_ours(server, database)
        fill_ours(server, "small", first=1, last=SMALL)
        _fill_large(server, tell)
        for database in ("small", "large"):
            server.execute("VACUUM ANALYZE", database=database)
        server.execute("CHECKPOINT")
        tell(f"the large database has {_size(server)}")
        with contenders.ours(data, data.url("small")) as small, contenders.ours(data, data.url("large")) as large:
            yield Sides(Side(SMALL, small), Side(LARGE, large), data)


def _fill_large(server: PostgresServer, tell: Callable[[str], None]) -> None:
    def fill(first: int) -> None:
        fill_ours(server, "large", first=first, last=first + _CHUNK - 1)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for number, _ in enumerate(threads.map(fill, range(1, LARGE, _CHUNK)), start=1):
            tell(f"filled {number * _CHUNK * TASKS:,} tasks")
    fill_ours(server, "large", first=DEEP, last=DEEP, tasks=DEEP_TASKS)


def _size(server: PostgresServer) -> str:
    ((tasks, size),) = server.execute(
        "SELECT (SELECT sum(task_count) FROM users), pg_size_pretty(pg_database_size('large'))", database="large"
    )
    return f"{tasks:,} tasks in {size}"


def get(user: int, chance: int) -> Request:
    """Read one task."""
    return works.get(user_name(user), first_task(user) + chance)


def page(user: int, _: int) -> Request:
    """List a page."""
    name = user_name(user)
    return Request("page", name, "GET", f"/api/{name}/tasks?limit={PAGE}")


def create(user: int, _: int) -> Request:
    """Create a task."""
    return works.create(user_name(user), 0)


def changes(user: int, _: int) -> Request:
    """Request changes when there are none."""
    name = user_name(user)
    return Request("changes", name, "GET", f"/api/{name}/changes?since={TASKS}")


FORMS: Final = {"get": get, f"page of {PAGE}": page, "create": create, "/changes, nothing new": changes}


class Compared(NamedTuple):
    """Medians of the latency in milliseconds, by round, of both sides of a comparison."""

    base: list[float]
    other: list[float]

    @property
    def ratios(self) -> tuple[float, float, float]:
        """The least, the median and the most of other / base."""
        found = sorted(other / base for base, other in zip(self.base, self.other, strict=True))
        return found[0], median(found), found[-1]


def compare(sides: Sides, rounds: int, seconds: float, tell: Callable[[str], None]) -> dict[str, Compared]:
    """Send each form's requests over one connection to both sides in turn."""
    found = {name: Compared([], []) for name in FORMS}
    for number in range(rounds):
        for name, form in FORMS.items():
            both = [(sides.small, found[name].base), (sides.large, found[name].other)]
            for side, times in both if number % 2 else reversed(both):
                file = sides.data.directory / "growth.requests"
                file.write_bytes(works.encoded(_requests(form, _users(side, number, writing=form is create))))
                times.append(_p50(side.running, file, seconds, number))
            tell(f"round {number + 1}: {name}: {found[name].base[-1]:.3f} and {found[name].other[-1]:.3f} ms")
    return found


def compare_requests(
    sides: Sides,
    requests: tuple[Request, Request],
    rounds: int,
    seconds: float,
    tell: Callable[[str], None],
    *,
    count: tuple[int, int] = (1, 1),
) -> Compared:
    """Send two requests to the large side in turn; their latencies are divided by `count`."""
    found = Compared([], [])
    files = [sides.data.directory / f"{place}.requests" for place in ("base", "other")]
    for file, request in zip(files, requests, strict=True):
        file.write_bytes(works.encoded([request]))
    for number in range(rounds):
        both = list(zip(files, found, count, strict=True))
        for file, times, divisor in both if number % 2 else reversed(both):
            times.append(_p50(sides.large.running, file, seconds, number) / divisor)
        tell(f"round {number + 1}: {requests[0].path}: {found.base[-1]:.4f} and {found.other[-1]:.4f} ms")
    return found


def _users(side: Side, number: int, *, writing: bool) -> list[int]:
    """Return the users of a round, spread over one half; the other half is for writes, which cause changes."""
    half = side.users // 2
    step = max(1, half // _ASKED)
    return [half * writing + 1 + (place * step + number) % half for place in range(_ASKED)]


def _requests(form: Callable[[int, int], Request], users: list[int]) -> Iterator[Request]:
    for number in range(TASKS):
        yield from map(form, users, repeat(number * 37 % TASKS))


def _p50(running: Running, file: Path, seconds: float, number: int) -> float:
    return send(running.port, file, connections=1, seconds=seconds, number=(number + 1) * 10_000_000).p50
