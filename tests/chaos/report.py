"""The figures of a storm, for people."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.service import Service
from chaos.storm import Weather


def report(weather: Weather, service: Service) -> str:
    """Return the table."""
    traffic, diaries = weather.traffic, [told.diary for told in weather.devices]
    creates = [made for diary in diaries for made in diary.creates.values()]
    acknowledged = sum(len(diary.revisions) + diary.deletions for diary in diaries)
    before, after = _megabytes(weather.resident_before), _megabytes(weather.resident_after)
    figures = {
        "requests": f"{traffic.statuses.total()}: {_counted(traffic.statuses)}",
        "changes": f"{acknowledged} acknowledged, {sum(diary.possible for diary in diaries)} with an unknown outcome",
        "creates": f"{len(creates)}, of which {sum(made.told is not None for made in creates)} acknowledged",
        "told to resync": f"{weather.resyncs} times",
        "longest request": f"{traffic.longest:.2f} s (this process was at most {traffic.late:.2f} s late); "
        f"{traffic.longest_away:.2f} s while processes ended and started",
        "/health/live": f"{weather.health.statuses.total()} times, at most {weather.health.longest:.2f} s",
        "process start": f"{', '.join(f'{seconds:.1f}' for seconds in service.start_seconds)} s",
        "memory": f"{before} before the second half, {after} after it",
        "faults": f"{weather.faults.total()}; of each kind: how many, failed requests, then at most until a success",
    }
    lines = [f"{name:16} {figure}" for name, figure in figures.items()]
    for name, times in sorted(weather.faults.items()):
        slowest = max(seconds for seconds, fault in weather.recoveries if fault == name)
        lines.append(f"{times:6} x {name:30} {weather.failures[name]:6} {slowest:7.2f} s")
    return "\n".join(lines)


def _counted(statuses: Mapping[str, int]) -> str:
    return ", ".join(f"{times} x {status}" for status, times in sorted(statuses.items()))


def _megabytes(resident: Mapping[int, float]) -> str:
    return " and ".join(f"{megabytes:.0f} MB" for megabytes in resident.values())
