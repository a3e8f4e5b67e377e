"""Rounds: in each, every contender does every work once, one after the other."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, Final, NamedTuple, Self

from benchmarks import cpu, works
from benchmarks.contenders import CONTENDERS, SAME_MEMBERS, Absent, Running
from benchmarks.data import Data
from benchmarks.load import LoadError, send
from servers.process_table import children
from servers.wrk import Outcome
from todo_adapters.http.protocol.task_json import TaskOut

_WARMING: Final = 0.5
"""Seconds that each contender does each work before it is measured."""

_EXPECTED: Final = {"create": 201}
_LISTED: Final = 20
_MEMBERS: Final = frozenset(TaskOut.__struct_fields__)


class Sample(NamedTuple):
    """One run; what is None is not known here.

    `server` and `database` are microseconds of processor time for each request; `others` is which part of the machine
    whatever else runs on it has used.
    """

    outcome: Outcome
    server: float | None
    database: float | None
    others: float | None


class Case(NamedTuple):
    """The key of a sample."""

    connections: int
    work: str
    contender: str


Samples = dict[Case, list[Sample]]
"""By round; the n-th samples of two contenders were taken next to each other."""


class Field:
    """The contenders while they run; a context manager."""

    def __init__(self, data: Data, names: Iterable[str], asked: Iterable[str]) -> None:
        self.running: dict[str, Running] = {}
        self.absent: dict[str, str] = {}
        self._data = data
        self._names = tuple(names)
        self._files = {name: data.directory / f"{name}.requests" for name in asked}
        self._numbers = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for name, file in self._files.items():
            file.write_bytes(works.encoded(works.requests(works.WORKS[name])))
        with ExitStack() as stack:
            for name in self._names:
                try:
                    self.running[name] = stack.enter_context(CONTENDERS[name](self._data))
                except Absent as reason:
                    self.absent[name] = str(reason)
            for name, running in self.running.items():
                for work in self._files:
                    check(name, running, work)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def warm(self) -> None:
        """Warm up: prepare and compile everything that will be used."""
        for name in self.running:
            for work in self._files:
                self.run(name, work, connections=16, seconds=_WARMING)

    def rounds(
        self, count: int, *, connections: int, seconds: float, names: Iterable[str], tell: Callable[[str], None]
    ) -> Samples:
        """Run some rounds; the order of the contenders moves on by one from round to round."""
        samples: Samples = {}
        taking_part = [name for name in names if name in self.running]
        for number in range(count):
            turn = number % max(1, len(taking_part))
            for work in self._files:
                for name in taking_part[turn:] + taking_part[:turn]:
                    sample = self.run(name, work, connections=connections, seconds=seconds)
                    samples.setdefault(Case(connections, work, name), []).append(sample)
                    tell(f"{connections:3} connections, round {number + 1}: {work:6} {name:15} {_figures(sample)}")
        return samples

    def run(self, name: str, work: str, *, connections: int, seconds: float) -> Sample:
        """Run one work of one contender."""
        running = self.running[name]
        self._numbers += 1
        begin = self._numbers * 1_000_000
        before, machine = self._used(running), cpu.machine()
        try:
            outcome = send(running.port, self._files[work], connections=connections, seconds=seconds, number=begin)
        except LoadError as error:
            raise LoadError(f"{name}, {work}: {error}") from None
        machine_after, after = cpu.machine(), self._used(running)
        server, database = (cpu.microseconds(was, now) for was, now in zip(before, after, strict=True))
        if server is None or database is None:
            return Sample(outcome, None, None, None)
        others = cpu.share_of_others(machine, machine_after, server + database)
        return Sample(outcome, server / outcome.requests, database / outcome.requests, others)

    def _used(self, running: Running) -> tuple[cpu.Used, cpu.Used]:
        postmaster = self._data.server.pid
        return cpu.used([running.pid]), cpu.used([postmaster, *children(postmaster)])


def check(name: str, running: Running, work: str) -> None:
    """Send one request of each form of the work; raise LoadError for an unexpected response."""
    first = {request.operation: request for request in works.requests(works.WORKS[work], seed=2)}
    for operation, request in first.items():
        status, body = _ask(running.port, request)
        problem = _problem(operation, status, body, request, same_members=name in SAME_MEMBERS)
        if problem:
            raise LoadError(f"{name}, {operation}: {problem}: {json.dumps(body)[:300]}")


def _problem(operation: str, status: int, body: Any, request: works.Request, *, same_members: bool) -> str | None:
    expected = _EXPECTED.get(operation, 200)
    if status != expected:
        return f"{status} instead of {expected}"
    if same_members and any(set(task) != _MEMBERS for task in (body if operation == "list" else [body])):
        return "not the members that the service's tasks have"
    if operation == "list":
        ids = [task["id"] for task in body]
        return None if len(ids) == _LISTED and ids == sorted(ids, reverse=True) else "not the newest twenty"
    if body["user_id"] != request.user:
        return "another user's task"
    if request.body and body["title"] != json.loads(request.body)["title"]:
        return "another title"
    return None


def _ask(port: int, request: works.Request) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Authorization": f"Bearer {works.token(request.user)}"}
    if request.body:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def _figures(sample: Sample) -> str:
    outcome = sample.outcome
    server, database = ("-" if spent is None else f"{spent:.0f}" for spent in sample[1:3])
    others = "" if sample.others is None else f", others {sample.others:4.0%}"
    return (
        f"{outcome.rate:8,.0f}/s  p50 {outcome.p50:7.2f}  p95 {outcome.p95:7.2f}  p99 {outcome.p99:7.2f} ms"
        f"  CPU {server:>5} + {database:>4} µs{others}"
    )
