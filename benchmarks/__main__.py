"""python -m benchmarks: runs everything, like `make bench`; with options, only a part, without writing the report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from benchmarks import ROOT, far, machine, plot, report, works
from benchmarks.contenders import CONTENDERS, FASTIFY, OURS
from benchmarks.data import Data, prepared
from benchmarks.load import LoadError
from benchmarks.ratios import CONNECTIONS, verdicts
from benchmarks.rounds import Field, Samples

ROUNDS: Final = 7
SECONDS: Final = 1.0
"""Seconds of a run; all runs together take less than ten minutes."""

OTHER_CONNECTIONS: Final = (1, 64)
OTHER_NAMES: Final = (OURS, FASTIFY)
OTHER_ROUNDS: Final = 3
"""Contenders and rounds at the other numbers of connections."""

FAR_SECONDS: Final = 2.0

_DOCS: Final = ROOT / "docs" / "benchmarks"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; write the report if everything was measured. Return the exit status."""
    asked = _parser().parse_args(argv)
    everything = asked == _parser().parse_args([])
    begun = time.monotonic()
    try:
        with prepared() as data:
            results = _measure(data, asked, everything=everything)
    except LoadError as problem:
        print(f"benchmarks: {problem}", file=sys.stderr)
        return 1
    print("\n", report.ratios(results), report.far(results), report.disturbance(results.samples), sep="\n\n")
    if everything:
        _DOCS.mkdir(parents=True, exist_ok=True)
        (_DOCS / "speed.md").write_text(report.markdown(results))
        (_DOCS / "speed.svg").write_text(plot.svg(verdicts(results.samples)))
        print("\ndocs/benchmarks/speed.md has the rest")
    print(f"\n{(time.monotonic() - begun) / 60:.1f} minutes; {results.machine}; {results.software[0]}")
    return 0


def _measure(data: Data, asked: argparse.Namespace, *, everything: bool) -> report.Results:
    names, work = asked.only.split(","), asked.work.split(",")
    with Field(data, names, work) as field:
        field.warm()
        samples: Samples = field.rounds(
            asked.rounds, connections=asked.connections, seconds=asked.seconds, names=names, tell=_tell
        )
        for connections in OTHER_CONNECTIONS if everything else ():
            samples |= field.rounds(
                OTHER_ROUNDS, connections=connections, seconds=asked.seconds, names=OTHER_NAMES, tell=_tell
            )
    distant = far.measure(data, seconds=FAR_SECONDS) if asked.far and OURS in names else None
    ((database,),) = data.server.execute("SELECT version()")
    return report.Results(
        samples=samples,
        absent=field.absent,
        far=distant,
        machine=machine.machine(),
        software=machine.software(database, compared=True),
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        seconds=asked.seconds,
    )


def _tell(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, comma-separated (%(default)s)")
    parser.add_argument("--work", default=",".join(works.WORKS), help="works, comma-separated (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run (%(default)s)")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--no-far", dest="far", action="store_false", help="without the database far away")
    return parser


if __name__ == "__main__":
    sys.exit(main())
