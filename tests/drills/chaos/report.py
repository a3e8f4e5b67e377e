"""The figures of a scenario, for people."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.scenario import Results
from chaos.service import Service


def report(results: Results, service: Service) -> str:
    """Return the table."""
    traffic, diaries = results.traffic, [result.expectations for result in results.devices]
    creates = [made for expectations in diaries for made in expectations.creates.values()]
    acknowledged = sum(len(expectations.revisions) + expectations.deletions for expectations in diaries)
    before, after = _megabytes(results.resident_before), _megabytes(results.resident_after)
    figures = {
        "requests": f"{traffic.statuses.total()}: {_counted(traffic.statuses)}",
        "changes": f"{acknowledged} acknowledged, {sum(each.possible for each in diaries)} with an unknown outcome",
        "creates": f"{len(creates)}, of which {sum(made.task is not None for made in creates)} acknowledged",
        "told to resync": f"{results.resyncs} times",
        "heard by streams": f"{results.heard} changes",
        "longest request": f"{traffic.longest:.2f} s (this process was at most {traffic.late:.2f} s late); "
        f"{traffic.longest_away:.2f} s while processes ended and started",
        "/health/live": f"{results.health.statuses.total()} times, at most {results.health.longest:.2f} s",
        "process start": f"{', '.join(f'{seconds:.1f}' for seconds in service.start_seconds)} s",
        "memory": f"{before} before the second half, {after} after it",
        "faults": f"{results.faults.total()}; of each kind: how many, failed requests, then at most until a success",
    }
    lines = [f"{name:16} {figure}" for name, figure in figures.items()]
    for name, times in sorted(results.faults.items()):
        slowest = max(seconds for seconds, fault in results.recoveries if fault == name)
        lines.append(f"{times:6} x {name:30} {results.failures[name]:6} {slowest:7.2f} s")
    return "\n".join(lines)


def _counted(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{times} x {status}" for status, times in sorted(statuses.items()))


def _megabytes(resident: Mapping[int, float]) -> str:
    return " and ".join(f"{megabytes:.0f} MB" for megabytes in resident.values())
