"""What others notice of a user who exports or imports: the p95 of their short reads and writes, and the memory.

.venv/bin/python -m pytest -s tests/drills/test_transfers.py

Another user sends requests at a steady rate all the time, while a transfer runs and while none runs, in turns, so that
a busy neighbour of this machine meets both alike. The ratio is that of the medians of the p95 of the turns. The control
is the same ratio between the turns without a transfer: those of even and of odd number.
"""

import json
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from itertools import pairwise
from statistics import median, quantiles
from typing import NamedTuple

import pytest

import support.open_loop
from servers.todo import Served, token_for
from support.memory import most_memory

pytestmark = pytest.mark.long

SECRET = "8c1f5e0f7c1b9a3d8642c7e1f0a95b3d2c48"
WHOLE = 10_000
"""Tasks of the largest file, and of an export."""

MOST = 1.5
"""The p95 of another user beside a transfer, as a multiple of the p95 without one."""

NOISY = 1.3
"""The control from which a run says nothing."""

TAIL = 4
"""The p95 without a transfer, as a multiple of the median, from which a run says nothing."""

RUNS = 3
TURNS = 14
TURN = 1.5
"""Seconds of a turn at least."""

CEILING = 64 + 32
"""MiB by which a transfer may raise the memory of the worker: TODO_MAX_BODIES_BYTES or TODO_MAX_ANSWERS_BYTES, and what
the database's library and the allocator keep."""


class Run(NamedTuple):
    """The ratios and controls of reads and writes, and a sentence with the figures."""

    ratio: float
    control: float
    tail: float
    figures: str

    @property
    def says_something(self):
        return self.control < NOISY and self.tail < TAIL


class Short:
    """The requests of the other user, by a program of its own."""

    def __init__(self, served, token):
        made = json.loads(answer(served, "POST", "/api/me/tasks", token, json.dumps({"title": "short"})))
        for _ in range(19):
            answer(served, "POST", "/api/me/tasks", token, json.dumps({"title": "short"}))
        program = [sys.executable, support.open_loop.__file__, str(served.port), token, str(made["id"])]
        self._sending = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def took(self):
        """When each request was sent, the seconds that it took, and whether it wrote."""
        found, _ = self._sending.communicate()
        assert self._sending.returncode == 0
        return json.loads(found)

    def kill(self):
        self._sending.kill()
        self._sending.communicate()


def answer(served, method, path, token, body=None):
    """The body of an answer of 200 or 201."""
    with closing(HTTPConnection("127.0.0.1", served.port, timeout=60)) as connection:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        received = b"".join(iter(lambda: response.read(65_536), b""))
        assert response.status in {200, 201}, received
        return received


def in_turns(served, token, transfers):
    """Do each transfer, then nothing for as long, beside the requests of the other user."""
    short = Short(served, token)
    try:
        time.sleep(1)  # the first requests open connections
        moments = [time.monotonic()]
        for transfer in transfers:
            while time.monotonic() < moments[-1] + TURN:
                transfer()
            moments.append(time.monotonic())
            time.sleep(moments[-1] - moments[-2])
            moments.append(time.monotonic())
        took = short.took()
    except BaseException:
        short.kill()
        raise
    spans = list(pairwise(moments))
    beside, alone = ([piece for span in each for piece in pieces(*span)] for each in (spans[::2], spans[1::2]))
    runs = []
    for name, writes in (("reads", False), ("writes", True)):
        of_it = [(sent, seconds) for sent, seconds, wrote in took if wrote is writes]
        with_, without = p95s(of_it, beside), p95s(of_it, alone)
        ratio = median(with_) / median(without)
        control = median(without[::2]) / median(without[1::2])
        middle = 1_000 * median(seconds for sent, seconds in of_it if any(a <= sent < b for a, b in alone))
        runs.append(
            Run(
                ratio,
                max(control, 1 / control),
                median(without) / middle,
                f"p95 of {name} {median(without):.2f} -> {median(with_):.2f} ms = {ratio:.2f} (control {control:.2f})",
            )
        )
    return Run(*(max(each) for each in list(zip(*runs, strict=True))[:3]), "; ".join(run.figures for run in runs))


def pieces(begin, end):
    """A long turn as several."""
    number = max(1, int((end - begin) / TURN))
    edges = [begin + (end - begin) * each / number for each in range(number + 1)]
    return pairwise(edges)


def p95s(took, spans):
    """The 95th percentile of the requests that were sent in each span, in milliseconds."""
    in_each = [[seconds for sent, seconds in took if begin <= sent < end] for begin, end in spans]
    return [1_000 * quantiles(each, n=20)[-1] for each in in_each]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    """The setting of a database."""
    if request.param == "sqlite":
        return {}
    databases, name = request.getfixturevalue("postgres_databases"), request.getfixturevalue("postgres_database")
    return {"TODO_DATABASE_URL": databases.url(name)}


@contextmanager
def service(directory, **database):
    """A service, and the tokens of the user who transfers and of the other one; its memory has a ceiling."""
    with Served(directory, TODO_JWT_SECRET=SECRET, TODO_MAX_TASKS_PER_USER="1000000", **database) as served:
        ann, bob = (token_for(user, SECRET) for user in ("ann", "bob"))
        answer(served, "GET", "/api/me/tasks", bob)
        before = most_memory(served.process.pid)
        yield served, ann, bob
        grown = most_memory(served.process.pid) - before
        print(f"the worker has taken {grown:.0f} MiB more, {before:.0f} before")  # noqa: T201  the figures, for -s
        assert grown < CEILING


def judge(name, run):
    """Measure up to RUNS times, until a run that says something is within the limit; skip if none says anything."""
    found = []
    while len(found) < RUNS:
        found.append(run())
        print(f"{name}: {found[-1].figures}")  # noqa: T201  the figures, for -s
        if found[-1].says_something and found[-1].ratio <= MOST:
            return
    judged = [each for each in found if each.says_something]
    if not judged:
        pytest.skip(f"this machine is too busy to measure: {[each.figures for each in found]}")
    raise AssertionError([each.figures for each in judged])


def file_of(tasks, generation=0, title=0):
    entries = [
        {
            "uid": f"name-{generation:04}-{number:06}",
            "title": f"{title} {number}",
            "description": "Buy groceries, and the bread. " * 13,
        }
        for number in range(tasks)
    ]
    return json.dumps({"format": "todo/1", "user_id": "a", "tasks": entries})


KINDS = {
    "which changes nothing": (1_500, lambda tasks, _: file_of(tasks)),
    "which rewrites": (400, lambda tasks, number: file_of(tasks, title=number + 1)),
    "which creates": (400, lambda tasks, number: file_of(tasks, generation=number + 1)),
    "of the largest file": (WHOLE, lambda tasks, number: file_of(tasks, title=number + 1)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_others_notice_of_an_import(tmp_path, database, kind):
    tasks, make = KINDS[kind]
    files = (make(tasks, number) for number in range(10_000))
    with service(tmp_path, **database) as (served, ann, bob):
        first = json.loads(answer(served, "POST", "/api/me/import", ann, file_of(tasks)))
        assert (first["created"], first["skipped"]) == (tasks, [])

        def run():
            prepared = [next(files) for _ in range(3 * TURNS if tasks < WHOLE else 3)]
            begun = time.monotonic()

            def one():
                report = json.loads(answer(served, "POST", "/api/me/import", ann, prepared.pop()))
                assert report["created"] + report["updated"] + report["unchanged"] == tasks

            found = in_turns(served, bob, [one] * (TURNS if tasks < WHOLE else 3))
            each = (time.monotonic() - begun) / 2 / (TURNS if tasks < WHOLE else 3)
            return found._replace(figures=f"{found.figures}; {tasks:,} tasks in {each:.1f} s")

        judge(f"an import {kind}", run)


@pytest.mark.parametrize(("format_", "tasks"), [("json", WHOLE), ("csv", WHOLE), ("ics", WHOLE // 10)])
def test_what_others_notice_of_an_export(tmp_path, database, format_, tasks):
    with service(tmp_path, **database) as (served, ann, bob):
        answer(served, "POST", "/api/me/import", ann, file_of(tasks))
        path = f"/api/me/export?format={format_}"
        size = len(answer(served, "GET", path, ann))

        def one():
            assert len(answer(served, "GET", path, ann)) == size

        name = f"an export of {size:,} bytes in {format_}"
        judge(name, lambda: in_turns(served, bob, [one] * TURNS))
