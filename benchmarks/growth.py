"""python -m benchmarks.growth: compares ten million tasks with ten thousand, and measures the process."""

from __future__ import annotations

import http.client
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median
from typing import Final, NamedTuple
from urllib.parse import urljoin

from benchmarks import ROOT, cpu, machine, sizes, startup, works
from benchmarks.data import TASKS, user_name
from benchmarks.load import LoadError
from benchmarks.report import said, table, times
from benchmarks.sizes import DEEP, DEEP_TASKS, PAGE, Compared, Sides
from benchmarks.works import Request

ROUNDS: Final = 15
SECONDS: Final = 0.7
LIST_SECONDS: Final = 2.0

MOST_GROWTH: Final = 1.2
MOST_PER_TASK: Final = 1.0
MOST_MEMORY: Final = 90.0  # MiB
MOST_UNTIL_READY: Final = 1.5  # seconds
MOST_TO_IMPORT: Final = 50.0  # milliseconds

_PAGES: Final = DEEP_TASKS // PAGE
_NEXT: Final = re.compile(r'<([^>]+)>; rel="next"')
_HOW: Final = f"""\
`todo serve` over PostgreSQL, `fsync` on, one connection, {ROUNDS} alternating rounds. The times are medians of the
latency. Small: {sizes.SMALL:,} users of {TASKS} tasks. Large: {sizes.LARGE:,} users of {TASKS}, of whom every round
asks for others. The last two lines are within the large database, for a user of {DEEP_TASKS:,} tasks."""

_DOCS: Final = ROOT / "docs" / "benchmarks"


class Growth(NamedTuple):
    """One line of the comparison: its subject, the allowed ratio, and the unit."""

    name: str
    compared: Compared
    most: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the median ratio reaches its aim."""
        return self.compared.ratios[1] <= self.most


class Cost(NamedTuple):
    """One line about the process; `most` is None without an aim."""

    name: str
    value: float | None
    most: float | None
    unit: str

    @property
    def met(self) -> bool | None:
        """Whether the figure reaches its aim."""
        return None if self.value is None or self.most is None else self.value <= self.most


def main() -> int:
    """Measure, print, and write the report. Return the exit status."""
    begun = time.monotonic()
    try:
        with sizes.prepared(_tell) as sides:
            growths, costs = list(_growths(sides)), list(_costs(sides))
            ((database,),) = sides.data.server.execute("SELECT version()")
            report = markdown(growths, costs, machine.software(database, compared=False))
    except LoadError as problem:
        print(f"benchmarks: {problem}", file=sys.stderr)
        return 1
    print(f"\n{report}")
    _DOCS.mkdir(parents=True, exist_ok=True)
    (_DOCS / "growth.md").write_text(report)
    print(f"{(time.monotonic() - begun) / 60:.1f} minutes; written to docs/benchmarks/growth.md")
    return 0


def _growths(sides: Sides) -> Iterator[Growth]:
    for name, compared in sizes.compare(sides, ROUNDS, SECONDS, _tell).items():
        yield Growth(name, compared, MOST_GROWTH, "ms")
    first = sizes.page(DEEP, 0)
    compared = sizes.compare_requests(sides, (first, _last_page(sides, first)), ROUNDS, SECONDS, _tell)
    yield Growth(f"page {_PAGES} beside page 1", compared, MOST_GROWTH, "ms")
    short, long = (Request("list", user, "GET", f"/api/{user}/tasks") for user in (user_name(1), user_name(DEEP)))
    count = (TASKS, DEEP_TASKS)
    compared = sizes.compare_requests(sides, (short, long), ROUNDS, LIST_SECONDS, _tell, count=count)
    in_microseconds = Compared(*([each * 1000 for each in side] for side in compared))
    yield Growth(f"whole list of {DEEP_TASKS:,} beside {TASKS}, each task", in_microseconds, MOST_PER_TASK, "µs")


def _costs(sides: Sides) -> Iterator[Cost]:
    url = sides.data.url("large")
    # After the lists of 10,000 tasks, including the memory that the interpreter keeps.
    yield Cost(f"memory after lists of {DEEP_TASKS:,} tasks", cpu.resident(sides.large.running.pid), None, "MiB")
    yield Cost("memory, idle", startup.idle_memory(sides.data, url), None, "MiB")
    yield Cost("memory, loaded", startup.loaded_memory(sides.data, url), MOST_MEMORY, "MiB")
    yield Cost("start to ready", startup.ready_time(sides.data, url), MOST_UNTIL_READY, "s")
    yield Cost("import of todo_domain", startup.import_time(), MOST_TO_IMPORT, "ms")


def _last_page(sides: Sides, first: Request) -> Request:
    """Walk to the last page, and return the request for it."""
    path, headers = first.path, {"Authorization": f"Bearer {works.token(first.user)}"}
    connection = http.client.HTTPConnection("127.0.0.1", sides.large.running.port, timeout=20)
    try:
        for number in range(2, _PAGES + 1):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            response.read()
            following = _NEXT.search(response.headers.get("Link", ""))
            if following is None:
                raise LoadError(f"there is no page {number} of {_PAGES}: {response.status}")
            path = urljoin(path, following[1])
    finally:
        connection.close()
    return first._replace(path=path)


def markdown(growths: list[Growth], costs: list[Cost], software: list[str]) -> str:
    """Return the whole report."""
    lines = [
        (
            each.name,
            *(f"{median(values):.3f} {each.unit}" for values in each.compared),
            *map(times, each.compared.ratios),
            f"≤ {each.most:g}",
            said(each.met),
        )
        for each in growths
    ]
    rows = [
        (
            cost.name,
            "not known" if cost.value is None else f"{cost.value:.{0 if cost.unit == 'MiB' else 2}f} {cost.unit}",
            "" if cost.most is None else f"≤ {cost.most:g} {cost.unit}",
            said(cost.met),
        )
        for cost in costs
    ]
    sections = [
        "# Growth",
        f"Written by `make growth` on {datetime.now(UTC):%Y-%m-%d}. Another machine gives other figures.",
        "\n".join(f"* {line}" for line in (machine.machine(), *software)),
        _HOW,
        table(("p50", "small or first", "large or other", "min", "median", "max", "aim", ""), lines),
        "What the process costs, one worker:",
        table(("", "measured", "aim", ""), rows),
    ]
    return "\n\n".join(sections) + "\n"


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
