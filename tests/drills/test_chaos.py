"""Faults at random while devices write: what was acknowledged is there once, nothing half, and each copy is right."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from random import Random

import pytest
from chaos.checks import all_problems
from chaos.evidence import Rows
from chaos.faults import Lasting, of_processes
from chaos.postgres_faults import PostgresStore
from chaos.report import report
from chaos.scenario import Scenario
from chaos.service import Service
from chaos.sqlite_faults import SqliteStore

from support.length import LONG

SECONDS = float(os.environ.get("TODO_CHAOS_SECONDS", "240" if LONG else "6"))
SEED = os.environ.get("TODO_CHAOS_SEED") or secrets.token_hex(4)

SOON = 1.0
"""Seconds after a fault's end within which a write succeeds."""

FLAT = 16
"""MB that a process may hold more after the second half than before it."""


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
async def test_whatever_breaks_what_was_acknowledged_is_there_once_and_nothing_is_half_there(tmp_path, kind):
    random = Random(SEED)
    print(f"\nTODO_CHAOS_SEED={SEED} TODO_CHAOS_SECONDS={SECONDS:g} {kind}")  # noqa: T201  how to repeat it
    with ExitStack() as stack:
        store = stack.enter_context(PostgresStore()) if kind == "postgres" else SqliteStore(tmp_path)
        service = Service(tmp_path, workers=store.workers, url=store.url, direct_url=store.direct_url)
        service.start()
        stack.callback(service.close)
        lasting = Lasting(3.4)
        faults = [*store.faults(lasting), *of_processes(service, workers=store.workers)]
        results = await Scenario(service, faults, seconds=SECONDS, random=random).run()
        rows = Rows.read(store.query)
    print(report(results, service))  # noqa: T201  the figures, for -s
    problems = [*results.traffic.problems, *results.health.problems, *all_problems(results.devices, rows)]
    assert not problems, "\n".join(problems[:20])
    assert [fault for fault in results.recoveries if fault[0] > SOON + results.traffic.late] == []
    assert results.resident_before.keys() == results.resident_after.keys()
    grown = [results.resident_after[pid] - before for pid, before in results.resident_before.items()]
    assert grown
    assert max(grown) < FLAT
    assert '"level": "error"' not in service.log
    assert "Traceback" not in service.log
