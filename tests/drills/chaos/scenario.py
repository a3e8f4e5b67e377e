"""A scenario: devices that write, faults that strike, and in the end what everybody was told beside what is there."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Final

from chaos.checks import DeviceResult
from chaos.devices import TASKS, Device
from chaos.expectations import Body
from chaos.faults import Fault
from chaos.line import Line, Lost, Traffic
from chaos.service import Service
from support.streams import Copy, keep_up

USERS: Final = ("ann", "bob", "cem")
DEVICES_PER_USER: Final = 3
_HEARD_WITHIN: Final = 40  # seconds: a stream that broke unseen ends after 30
_PULSE: Final = "pulse"  # a user of whom nothing is asked but whether the service serves


@dataclass
class Results:
    """What struck, and how things went."""

    traffic: Traffic = field(default_factory=Traffic)
    health: Traffic = field(default_factory=Traffic)
    faults: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    recoveries: list[tuple[float, str]] = field(default_factory=list)
    resident_before: dict[int, float] = field(default_factory=dict)
    resident_after: dict[int, float] = field(default_factory=dict)
    devices: list[DeviceResult] = field(default_factory=list)
    resyncs: int = 0
    heard: int = 0


class Scenario:
    """Faults upon a running service for some seconds, one at a time, each kind about as often as its like.

    What ends processes is every other fault of the first half and none of the second, which so shows what becomes of
    the memory of processes that live.
    """

    def __init__(self, service: Service, faults: Sequence[Fault], *, seconds: float, random: Random) -> None:
        self.results = Results()
        self._service = service
        self._ending = [fault for fault in faults if fault.ends]
        self._lasting = [fault for fault in faults if not fault.ends]
        self._seconds = seconds
        self._random = random  # for nothing that is done more or less often as time goes by: faults keep their order
        self._lines: list[Line] = []
        self._copies = {user: Copy() for user in USERS}

    async def run(self) -> Results:
        """Let it all happen, and everybody sync when it is over."""
        watches = [asyncio.create_task(self.results.traffic.watch_ourselves())]
        try:
            devices = await self._set_up()
            watches.append(asyncio.create_task(self._watch_health()))
            watches += [asyncio.create_task(self._listen(user, copy)) for user, copy in self._copies.items()]
            async with asyncio.TaskGroup() as group:
                for device in devices:
                    group.create_task(device.work())
                await self._strike()
                for device in devices:
                    device.stopping = True
            self.results.resident_after = self._service.resident()
            for device in devices:
                listed = await device.settle()
                self.results.devices.append(DeviceResult(device.expectations, device.copy, listed))
                self.results.resyncs += device.resyncs
            for user, listed in {result.expectations.user: result.listed for result in self.results.devices}.items():
                await self._hear_all(user, {task["id"]: task for task in listed})
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            for line in self._lines:
                line.close()
            await asyncio.sleep(0.05)  # the aborted connections close their sockets
        return self.results

    def _line(self, user: str) -> Line:
        return Line(self._service, user, self.results.traffic, Random())

    async def _listen(self, user: str, copy: Copy) -> None:
        """Keep a copy of this user's by streams, whatever breaks; what a stream must never send is a problem."""
        try:
            await keep_up(copy, lambda: self._service.origin, lambda: self._service.token(user))
        except AssertionError as problem:
            self.results.traffic.problems.append(f"{user}'s stream: {problem}")

    async def _hear_all(self, user: str, listed: dict[int, Body]) -> None:
        """Return once the copy that this user's streams keep is the list."""
        copy = self._copies[user]
        try:
            async with asyncio.timeout(_HEARD_WITHIN):
                await copy.equals(listed)
        except TimeoutError:
            differing = {key for key in copy.tasks | listed if copy.tasks.get(key) != listed.get(key)}
            self.results.traffic.problems.append(f"{user}'s streams do not tell of the tasks {sorted(differing)}")
        self.results.heard += len(copy.seen)

    async def _set_up(self) -> list[Device]:
        devices = []
        for user in USERS:
            ledger = None
            for number in range(DEVICES_PER_USER):
                self._lines.append(self._line(user))
                device = Device(f"{user} {number}", user, self._lines[-1], Random(self._random.random()))
                ledger = await device.set_up(ledger)
                devices.append(device)
        self._lines.append(self._line(_PULSE))
        made = await self._lines[-1].request("POST", TASKS, {"title": "alive"})
        self._pulse_path = f"{TASKS}/{made.body['id']}"
        return devices

    # What strikes

    async def _strike(self) -> None:
        begun = time.monotonic()
        await asyncio.sleep(min(3, self._seconds / 8))
        await self._strike_until(begun + self._seconds / 2, self._ending, self._lasting)
        await asyncio.sleep(min(3, self._seconds / 8))
        self.results.resident_before = self._service.resident()
        await self._strike_until(begun + self._seconds, self._lasting)
        await asyncio.sleep(1)

    async def _strike_until(self, end: float, *groups: list[Fault]) -> None:
        decks = cycle([self._deck(group) for group in groups if group])  # by turns, for one has more than the other
        while time.monotonic() < end:
            if (deck := next(decks, None)) is None:
                await asyncio.sleep(0.1)
                continue
            fault, random = next(deck)
            before = self.results.traffic.failures
            await asyncio.to_thread(fault.strike, random)
            self.results.faults[fault.name] += 1
            self.results.recoveries.append((await self._first_success(), fault.name))
            await asyncio.to_thread(self._service.recover)
            self.results.failures[fault.name] += self.results.traffic.failures - before
            await asyncio.sleep(self._random.uniform(0.1, 0.6))

    def _deck(self, faults: list[Fault]) -> Iterator[tuple[Fault, Random]]:
        random = Random(self._random.random())
        while True:
            for fault in random.sample(faults, len(faults)):
                yield fault, Random(random.random())

    async def _first_success(self) -> float:
        """Return after how many seconds a write succeeded: one is begun every 50 ms, whatever became of the others."""
        begun, trying = time.monotonic(), set[asyncio.Task[bool]]()
        while time.monotonic() - begun < 10:
            trying.add(asyncio.create_task(self._beat()))
            next_one = time.monotonic() + 0.05
            while trying and (left := next_one - time.monotonic()) > 0:
                done, trying = await asyncio.wait(trying, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if any(task.result() for task in done):
                    seconds = time.monotonic() - begun
                    await asyncio.gather(*trying)
                    return seconds
            await asyncio.sleep(max(0, next_one - time.monotonic()))
        await asyncio.gather(*trying)
        return time.monotonic() - begun

    async def _beat(self) -> bool:
        line = self._line(_PULSE)
        try:
            body = {"description": str(time.monotonic_ns())}
            return (await line.request("PUT", self._pulse_path, body)).status == 200
        except Lost:
            return False
        finally:
            line.close()

    async def _watch_health(self) -> None:
        """Ask ten times a second whether the process answers: whatever the database does, it must."""
        health = self.results.health
        while True:
            line = Line(self._service, _PULSE, health, Random())
            away, absences = self._service.away, self._service.absences
            try:
                reply = await line.request("GET", "/health/live")
                if reply.status != 200:
                    health.problems.append(f"/health/live was answered {reply.status}")
            except Lost:
                if not away and absences == self._service.absences:
                    health.problems.append("/health/live was not answered although the process ran")
            finally:
                line.close()
            await asyncio.sleep(0.1)
