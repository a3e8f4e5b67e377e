"""The effects of a failing database for users and operators: break it, send requests, repair it, send requests
again."""

import itertools
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import NamedTuple

import jwt

from servers.todo import Reply, Served
from support.length import LONG
from todo_adapters.sql.sqlite.file import TOO_SLOW

SECRET = "0123456789abcdef0123456789abcdef"

IN_TIME = 3.0 if LONG else 4.5
"""Seconds within which every request is answered, with any fault of the database. The promise is 3; in the short form
four drills at a time share the processors, and a client waits for its turn as the service does."""

BACK = 1.0 if LONG else 2.5
"""Seconds after the database's return within which a read, a write and readiness have succeeded: 1 is the promise."""

_EACH = 3  # readers, and as many writers
_LEAKS = re.compile(
    r"postgres|psycopg|sqlite|127\.0\.0\.1|todo_login|\.test|/|Error|SELECT|UPDATE|INSERT", re.IGNORECASE
)


class Expected(NamedTuple):
    """The expected effects of a fault: the allowed statuses, and the readiness probe's reason, None for a 200."""

    reads: set[int]
    writes: set[int]
    ready: str | None
    unknown: bool = False  # whether a write may be of unknown outcome
    certain: bool = True  # whether the worst of these statuses, and this of the probe, must have been seen


class Response(NamedTuple):
    """One request's end."""

    kind: str
    reply: Reply
    seconds: float


def token_of(user: str) -> str:
    """A token for this user, good for an hour."""
    return jwt.encode({"sub": user, "exp": int(time.time()) + 3600}, SECRET, algorithm="HS256")


@dataclass
class Examiner:
    """Asks a running service as several readers and writers do, and keeps the table of what was seen."""

    served: Served
    lines: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)  # titles that were acknowledged
    open: set[str] = field(default_factory=set)  # titles of unknown outcome
    numbers: itertools.count = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.token = token_of("ann")
        made = self.served.request("POST", "/api/me/tasks", self.token, {"title": "the first"})
        self.task = f"/api/me/tasks/{made.body['id']}"
        self.changes = f"/api/me/changes?since={made.body['revision']}"
        self.kept.add("the first")

    def examine(self, name: str, fault: AbstractContextManager[object], expected: Expected, *, rounds: int = 1) -> None:
        """Ask before, during and after the fault, compare with what is expected, and note a line of the table."""
        for response in self._together(1):  # and every connection is open
            assert response.reply.status in {200, 201}, response
        with self._living() as slowest_life:
            with fault:
                *responses, ready = self._together(rounds)
            back = self._seconds_until_all_succeed()
        self._note(name, responses, ready, back, max(slowest_life))
        self._compare(responses, ready, expected)
        assert back <= BACK

    def require_consistency(self) -> None:
        """All acknowledged writes are stored, and no refused ones, except those with an unknown outcome."""
        found = {task["title"] for task in self.served.request("GET", "/api/me/tasks", self.token).body}
        assert self.kept <= found <= self.kept | self.open

    def table(self) -> str:
        """The lines noted so far, below a heading."""
        return "\n".join(["fault | reads | writes | longest response | ready says | back after", *self.lines])

    # How

    def _ask(self, kind: str, method: str, path: str, body: object = None) -> Response:
        began = time.monotonic()
        reply = self.served.request(method, path, self.token, body)
        return Response(kind, reply, time.monotonic() - began)

    def _read(self, number: int) -> Response:
        path = ("/api/me/tasks?limit=5", self.task, self.changes)[number % 3]
        return self._ask("read", "GET", path)

    def _write(self, number: int) -> Response:
        if number % 3 == 1:
            return self._ask("write", "PATCH", f"{self.task}/complete")
        title = f"number {next(self.numbers)}"
        response = self._ask("write", "POST", "/api/me/tasks", {"title": title})
        if response.reply.status == 201:
            self.kept.add(title)
        elif _unknown(response.reply):
            self.open.add(title)
        return response

    def _together(self, rounds: int) -> list[Response]:
        asking = [(ask, number) for ask in (self._read, self._write) for number in range(_EACH)]
        asking.append((lambda _: self._ask("ready", "GET", "/health/ready"), 0))
        with ThreadPoolExecutor(len(asking)) as threads:
            all_rounds = [threads.map(lambda it: it[0](it[1]), asking) for _ in range(rounds)]
            return [response for each in all_rounds for response in each]

    @contextmanager
    def _living(self):
        """Ask for liveness all the while: it is 200 each time; the list that this yields gets each one's seconds."""
        over, seconds, wrong = threading.Event(), [], []

        def watch():
            while not over.is_set():
                try:
                    response = self._ask("live", "GET", "/health/live")
                except (OSError, HTTPException) as error:
                    wrong.append(error)
                    return
                seconds.append(response.seconds)
                if response.reply.status != 200:
                    wrong.append(response)
                over.wait(0.02)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield seconds
        finally:
            over.set()
            watching.join()
        assert not wrong
        assert max(seconds) < IN_TIME

    def _seconds_until_all_succeed(self) -> float:
        began = time.monotonic()

        def until(ask) -> float:
            while ask().reply.status not in {200, 201}:
                assert time.monotonic() - began < 30
                time.sleep(0.01)
            return time.monotonic() - began

        asks = (lambda: self._read(0), lambda: self._write(0), lambda: self._ask("ready", "GET", "/health/ready"))
        with ThreadPoolExecutor(len(asks)) as threads:
            return max(threads.map(until, asks))

    def _note(self, name: str, responses: list[Response], ready: Response, back: float, life: float) -> None:
        statuses = [
            _statuses(response for response in responses if response.kind == kind) for kind in ("read", "write")
        ]
        longest = max(response.seconds for response in (*responses, ready))
        reason = "200" if ready.reply.status == 200 else f"{ready.reply.status}: {ready.reply.body['error']}"
        columns = (name, *statuses, f"{longest * 1000:.0f} ms", reason, f"{back * 1000:.0f} ms")
        self.lines.append(f"{' | '.join(columns)}   (live: {life * 1000:.0f} ms)")

    def _compare(self, responses: list[Response], ready: Response, expected: Expected) -> None:
        for response in (*responses, ready):
            assert response.seconds < IN_TIME, response
            if response.reply.status >= 500:
                require_shape(response.reply)
        for kind, statuses in (("read", expected.reads), ("write", expected.writes)):
            seen = {response.reply.status for response in responses if response.kind == kind}
            assert seen <= statuses, kind
            assert max(statuses) in seen or not expected.certain, kind
        unknown = [response.kind for response in responses if _unknown(response.reply)]
        assert set(unknown) <= ({"write"} if expected.unknown else set())
        if expected.certain:
            assert ready.reply.status == (200 if expected.ready is None else 503)
        if ready.reply.status == 503:
            # In the short form three other drills run, and the deadline may come before the fault is told.
            told = ready.reply.body["error"]
            assert (expected.ready or "") in told or (not LONG and TOO_SLOW in told)


def _statuses(responses) -> str:
    seen = {f"{reply.status} unknown" if _unknown(reply) else str(reply.status) for _, reply, _ in responses}
    return ", ".join(sorted(seen))


def _unknown(reply: Reply) -> bool:
    return reply.status == 503 and "outcome" in reply.body


def require_shape(reply: Reply) -> None:
    """A 503 has the form of the contract, and names no internals."""
    assert reply.status == 503
    assert reply.headers["retry-after"].isdigit()
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert set(reply.body) - {"outcome"} == {"error", "code", "request_id"}
    assert reply.body["code"] == "unavailable"
    assert reply.body.get("outcome", "unknown") == "unknown"
    assert not _LEAKS.search(reply.body["error"])
