"""Devices that write as a careful client does, whatever they are told, and keep a copy of the list."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any, Final

from chaos.expectations import Body, Create, Expectations, Switch
from chaos.line import Line, Lost, Reply

TASKS: Final = "/api/me/tasks"
MOST_TASKS: Final = 30
"""Of one device. Beyond, it deletes the oldest: so the lists, and the memory that serving them takes, do not grow."""


class Device:
    """One of a user's devices. All its requests follow each other; the user's other devices are at work as well."""

    def __init__(self, name: str, user: str, line: Line, random: Random) -> None:
        self.expectations = Expectations(user, name)
        self.copy: dict[int, Body] = {}
        self.since = 0
        self.resyncs = 0
        self.stopping = False
        self._line = line
        self._random = random
        self._live: list[Create] = []
        self._number = 0

    # Its life

    async def set_up(self, ledger: Body | None) -> Body:
        """Make the tasks that it needs while all is well; return the ledger that its user's devices share."""
        if ledger is None:
            ledger = self._must(await self._create("ledger", description="{}", edited=True))
        self.expectations.ledger = ledger["title"]
        self._ledger_path = f"{TASKS}/{ledger['id']}"
        notebook = self._must(await self._create("notebook", description="0", edited=True))
        self.expectations.notebook = notebook["title"]
        self._notebook_path = f"{TASKS}/{notebook['id']}"
        return ledger

    async def work(self) -> None:
        """Do one thing after the other until told to stop; what is unfinished then stays so."""
        doing = [self.create, self.create_carelessly, self.delete, self.take_a_note, self.count, self.toggle, self.sync]
        while not self.stopping:
            (do,) = self._random.choices(doing, weights=[6, 2, 6, 3, 3, 3, 4])
            await do()
            await asyncio.sleep(self._random.uniform(0, 0.05))

    async def settle(self) -> list[Body]:
        """Sync until it works, now that nothing is broken any more; return the user's list."""
        for _ in range(50):
            if await self.sync() and (reply := await self._ask("GET", TASKS)) is not None and reply.status == 200:
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("the service does not recover")
        listed: list[Body] = reply.body
        return listed

    # What it does

    async def create(self) -> None:
        """Create with a key, again and again with the same one until that is acknowledged; now and then give up."""
        if (made := await self._create("task")) is not None and made.task is not None:
            self._live.append(made)

    async def create_carelessly(self) -> None:
        """Create once, without a key."""
        if (made := await self._create("once", careless=True)) is not None and made.task is not None:
            self._live.append(made)

    async def delete(self) -> None:
        """Delete its oldest task once it has enough, sometimes under a condition; again until that is acknowledged."""
        if len(self._live) <= MOST_TASKS:
            return
        doomed = self._live.pop(0)
        assert doomed.task is not None
        condition = {"If_Match": f'"{doomed.task["revision"]}"'} if self._random.random() < 0.5 else {}
        while not self.stopping:
            reply, unknown = await self._write("DELETE", f"{TASKS}/{doomed.task['id']}", **condition)
            if unknown:
                doomed.deletion = None
                self.expectations.possible += 1
            if reply is not None and (reply.status == 204 or (reply.status == 404 and doomed.deletion is None)):
                self.expectations.deletions += 1
                doomed.deletion = True
                return
            self._expect(reply, "the deletion of its own task")
            await self._pause(reply)

    async def take_a_note(self) -> None:
        """Overwrite the notebook, without key or condition, once."""
        self._number = note = self._number + 1
        reply, unknown = await self._write("PUT", self._notebook_path, {"description": str(note)})
        if reply is not None and reply.status == 200:
            self.expectations.note = note
            self._acknowledged(reply)
        else:
            self._expect(reply, "a note")
            if unknown:
                self.expectations.notes_unknown.add(note)
                self.expectations.possible += 1

    async def count(self) -> None:
        """Add one to its own number in the ledger, which all devices of the user write, each over what it has read."""
        target, task = self.expectations.counted + 1, None
        while not self.stopping:
            if task is None:
                reply = await self._ask("GET", self._ledger_path)
                if reply is None or reply.status != 200:
                    self._expect(reply, "reading the ledger")
                    await self._pause(reply)
                    continue
                task = reply.body
            counts = json.loads(task["description"])
            if counts.get(self.expectations.device, 0) >= target:
                break
            counts[self.expectations.device] = target
            condition = f'"{task["revision"]}"'
            body = {"description": json.dumps(counts)}
            reply, unknown = await self._write("PUT", self._ledger_path, body, If_Match=condition)
            task = None
            if unknown:
                self.expectations.count_unknown = True
                self.expectations.possible += 1
            if reply is not None and reply.status == 200:
                self._acknowledged(reply)
                break
            if reply is not None and reply.status == 412:
                task = reply.body["current"]
                continue
            self._expect(reply, "counting")
            await self._pause(reply)
        else:
            return
        self.expectations.counted, self.expectations.count_unknown = target, False

    async def toggle(self) -> None:
        """Toggle its switch. One whose state is unknown afterwards is left alone, and another one taken."""
        if not self.expectations.switches or self.expectations.switches[-1].unknown:
            if (made := await self._create("switch", edited=True)) is None or made.task is None:
                return
            self.expectations.switches.append(Switch(made.task["title"]))
            self._switch_path = f"{TASKS}/{made.task['id']}/complete"
        switch = self.expectations.switches[-1]
        reply, switch.unknown = await self._write("PATCH", self._switch_path)
        if reply is not None and reply.status == 200:
            switch.acknowledged += 1
            self._acknowledged(reply)
            if reply.body["completed"] != (switch.acknowledged % 2 == 1):
                self._problem(f"{switch.title} was toggled {switch.acknowledged} times and is {reply.body}")
        else:
            self._expect(reply, "a toggle")
            self.expectations.possible += switch.unknown

    async def sync(self) -> bool:
        """Bring the copy up to date, page by page; return whether that worked."""
        # Now and then with a revision that there has not been yet, as after a restore of the data.
        if self._random.random() < 0.03 and self.since:
            self.since += 10**9
        limit = self._random.choice(["", "&limit=3", "&limit=100"])
        while True:
            reply = await self._ask("GET", f"/api/me/changes?since={self.since}{limit}")
            if reply is not None and reply.status == 410 and self.since:
                self.since = 0
                self.resyncs += 1
                continue
            if reply is None or reply.status != 200:
                self._expect(reply, "a sync")
                return False
            page = reply.body
            self._apply(page)
            if not page["has_more"]:
                break
        if self.since < max(self.expectations.revisions, default=0):
            self._problem(
                f"a sync shows {self.since}, but {max(self.expectations.revisions)} was acknowledged before it"
            )
        return True

    # How

    def _apply(self, page: Body) -> None:
        if self.since == 0:
            self.copy.clear()
        for item in [*page["tasks"], *page["deleted"]]:
            if not self.since < item["revision"] <= page["revision"]:
                self._problem(f"the changes after {self.since} up to {page['revision']} hold {item}")
        self.copy.update((task["id"], task) for task in page["tasks"])
        for tombstone in page["deleted"]:
            self.copy.pop(tombstone["id"], None)
        if page["revision"] < self.since or (page["has_more"] and page["revision"] == self.since):
            self._problem(f"the changes after {self.since} end at {page['revision']}")
        self.since = page["revision"]

    async def _create(
        self, kind: str, *, careless: bool = False, edited: bool = False, **members: Any
    ) -> Create | None:
        title = f"{kind} {len(self.expectations.creates)} of {self.expectations.device}"
        body = {"title": title, "description": title * self._random.randint(1, 20), "tags": [kind], **members}
        made = Create(None if careless else title.replace(" ", "-"), body, edited=edited)
        self.expectations.creates[title] = made
        while True:
            key = {} if made.key is None else {"Idempotency_Key": made.key}
            reply, unknown = await self._write("POST", TASKS, body, **key)
            made.unknown |= unknown
            if reply is not None and reply.status == 201:
                made.task = reply.body
                self._acknowledged(reply)
                if any(reply.body[name] != value for name, value in body.items()):
                    self._problem(f"{title} was acknowledged as {reply.body}")
                return made
            self._expect(reply, "a create")
            if careless or self.stopping or self._random.random() < 0.05:
                self.expectations.possible += made.unknown
                return None
            await self._pause(reply)

    def _must(self, made: Create | None) -> Body:
        assert made is not None, "the service must be well before it is broken"
        assert made.task is not None
        return made.task

    async def _ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply | None:
        return (await self._write(method, path, body, **headers))[0]

    async def _write(self, method: str, path: str, body: object = None, **headers: str) -> tuple[Reply | None, bool]:
        """Return the response if one came, and whether it is unknown what happened."""
        try:
            reply = await self._line.request(method, path, body, **headers)
        except Lost as lost:
            return None, lost.sent
        return reply, reply.unknown

    async def _pause(self, reply: Reply | None) -> None:
        wait = 0.0 if reply is None else float(reply.headers.get("retry-after", 0))
        await asyncio.sleep(wait + self._random.uniform(0.02, 0.2))

    def _acknowledged(self, reply: Reply) -> None:
        if reply.headers.get("etag") != f'"{reply.body["revision"]}"':
            self._problem(f"ETag {reply.headers.get('etag')} for revision {reply.body['revision']}")
        self.expectations.revisions.append(reply.body["revision"])

    def _expect(self, reply: Reply | None, what: str) -> None:
        if reply is not None and reply.status != 503:
            self._problem(f"{what} was answered {reply.status} {reply.body}")

    def _problem(self, sentence: str) -> None:
        self.expectations.problems.append(f"{self.expectations.device}: {sentence}")
