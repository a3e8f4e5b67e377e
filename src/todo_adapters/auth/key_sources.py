"""Combines several sources of keys: one for each issuer, or secrets beside a key set."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from todo_adapters.auth.keys import Key, KeySource
from todo_domain.deadline import Deadline
from todo_domain.errors import Unavailable


class KeySources:
    """A KeySource over several. Each keeps its own algorithms and issuer, so a token cannot choose between them."""

    def __init__(self, sources: Sequence[KeySource]) -> None:
        self._sources = tuple(sources)
        self.algorithms = frozenset[str]().union(*(source.algorithms for source in sources))

    @property
    def version(self) -> int:
        """How often any of the keys have changed."""
        return sum(source.version for source in self._sources)

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """Return the keys of every source for this header."""
        return [key for source in self._of(algorithm) for key in source.find(kid, algorithm)]

    async def search(self, kid: str | None, algorithm: str, *, deadline: Deadline | None = None) -> Sequence[Key]:
        """Search every source concurrently. Raises Unavailable if none has the key and one of them is unavailable."""
        searches = (source.search(kid, algorithm, deadline=deadline) for source in self._of(algorithm))
        results = await asyncio.gather(*searches, return_exceptions=True)
        found = [key for result in results if not isinstance(result, BaseException) for key in result]
        outages = _outages(results)
        if outages and not found:
            raise outages[0]
        return found

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return if a source has keys; otherwise raise the error of the first source."""
        checks = (source.check(deadline=deadline) for source in self._sources)
        outages = _outages(await asyncio.gather(*checks, return_exceptions=True))
        if len(outages) == len(self._sources):
            raise outages[0]

    async def open(self) -> None:
        """Begin to load every source."""
        for source in self._sources:
            await source.open()

    async def aclose(self) -> None:
        """Cancel loads in progress in every source."""
        for source in self._sources:
            await source.aclose()

    def _of(self, algorithm: str) -> Sequence[KeySource]:
        return [source for source in self._sources if algorithm in source.algorithms]


def _outages(results: Sequence[object]) -> list[Unavailable]:
    """Return the outages among results; raise any other error."""
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Unavailable):
            raise result
    return [result for result in results if isinstance(result, Unavailable)]
