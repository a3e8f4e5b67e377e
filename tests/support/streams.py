"""A client of `/events` that holds a copy, as the guide for front ends advises."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    id: str | None
    data: Any


class Stream:
    """An open stream. `next` returns its events one by one and fails if none comes in time."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.retry: int | None = None
        self._events = self._read()

    async def next(self, *, seconds: float = 20, pings: bool = False) -> Event:
        """The next event; pings are passed over unless they are wanted."""
        async with asyncio.timeout(seconds):
            while (event := await anext(self._events)).name == "ping" and not pings:
                pass
            return event

    async def rest(self, *, seconds: float = 20) -> list[Event]:
        """All events up to the end of the stream."""
        async with asyncio.timeout(seconds):
            return [event async for event in self._events]

    async def _read(self) -> AsyncIterator[Event]:
        fields: dict[str, str] = {}
        async for line in self.response.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "event" in fields:
                yield Event(fields["event"], fields.get("id"), json.loads(fields["data"]))
                fields = {}
            elif "retry" in fields:
                self.retry = int(fields["retry"])
                fields = {}


@asynccontextmanager
async def streaming(origin: str, token: str, query: str = "", **headers: str) -> AsyncIterator[Stream]:
    """Open a stream of the token's user; header names are written with underscores.

    Nothing is verified, because nothing is encrypted: to read the certificates of authorities takes a client 30 ms.
    """
    given = {"Authorization": f"Bearer {token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        httpx.AsyncClient(timeout=httpx.Timeout(30), trust_env=False, verify=False) as client,
        client.stream("GET", f"{origin}/api/me/events{query}", headers=given) as response,
    ):
        stream = Stream(response)  # held here: a stream that nothing holds is collected, and its connection closes
        yield stream


class Copy:
    """The copy of a device: it applies pages of changes and counts violations of the contract."""

    def __init__(self) -> None:
        self.tasks: dict[int, dict[str, Any]] = {}
        self.since = 0
        self.seen: list[int] = []
        self._changed = asyncio.Event()

    async def equals(self, tasks: dict[int, dict[str, Any]]) -> None:
        """Return once these are the tasks of the copy."""
        while self.tasks != tasks:
            self._changed.clear()
            await self._changed.wait()

    def whole(self, page: dict[str, Any]) -> None:
        """Replace the copy."""
        self.tasks = {task["id"]: task for task in page["tasks"]}
        self.since = page["revision"]
        self._changed.set()

    def apply(self, page: dict[str, Any]) -> None:
        """Apply a page of changes after `since`; each revision may come once and in order."""
        revisions = sorted(
            [task["revision"] for task in page["tasks"]] + [gone["revision"] for gone in page["deleted"]]
        )
        assert all(revision > self.since for revision in revisions), "a change came twice"
        assert page["revision"] >= max(revisions, default=self.since)
        for task in page["tasks"]:
            self.tasks[task["id"]] = task
        for gone in page["deleted"]:
            self.tasks.pop(gone["id"], None)
        self.seen += revisions
        self.since = page["revision"]
        self._changed.set()


async def keep_up(copy: Copy, origin: Callable[[], str], token: Callable[[], str]) -> None:
    """Keep a copy by one stream after the other until cancelled; both are asked for each stream anew."""
    known = False
    while True:
        where = origin()
        try:
            if not known:
                async with httpx.AsyncClient(base_url=where, timeout=10, trust_env=False, verify=False) as client:
                    whole = await client.get("/api/me/changes", headers={"Authorization": f"Bearer {token()}"})
                    copy.whole(whole.raise_for_status().json())
                    known = True
            async with streaming(where, token(), f"?since={copy.since}") as stream:
                stream.response.raise_for_status()
                while (event := await stream.next(seconds=30)).name != "bye":
                    if event.name == "resync":
                        known = False
                        break
                    if event.name == "changes":
                        assert event.id == str(event.data["revision"])
                        copy.apply(event.data)
        except (httpx.HTTPError, StopAsyncIteration, TimeoutError):
            await asyncio.sleep(0.05)
