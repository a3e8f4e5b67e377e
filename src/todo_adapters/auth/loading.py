"""Loads an issuer's keys from a URL or a file."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from todo_adapters.auth.key_set import KeySet, parse_key_set

if TYPE_CHECKING:
    from todo_adapters.auth.fetching import Document, Fetcher

FRESH: Final = 300.0
"""Seconds for which fetched keys are fresh if their server sends no `max-age`."""

FRESH_AT_LEAST: Final = 60.0
FRESH_AT_MOST: Final = 3600.0
"""The bounds of a server's `max-age`."""

FILE_FRESH: Final = 1.0
"""Seconds after which a key file is checked for changes."""

LARGEST_FILE: Final = 256 * 1024
"""The most bytes of a key file."""


class CannotLoad(Exception):
    """The reason why keys cannot be loaded, in a few words without a host, a path or a byte of the response."""


class Loaded(NamedTuple):
    """Keys, and the seconds for which they are fresh."""

    keys: KeySet
    fresh: float


class Loader(Protocol):
    """A source of keys."""

    async def load(self) -> Loaded:
        """Return the current keys. Raises CannotLoad; raises ValueError for an invalid key set."""


class KeyUrl:
    """The key set at a URL. Raises ValueError with the rest of a sentence about a URL that may not be fetched."""

    def __init__(self, url: str, fetcher: Fetcher) -> None:
        self._url = fetcher.checked(url)
        self._fetcher = fetcher

    async def load(self) -> Loaded:
        """Fetch the keys."""
        return loaded(await self._fetcher.get(self._url))


class KeyFile:
    """The key set in a file, which is read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: object = None
        self._keys = KeySet()

    async def load(self) -> Loaded:
        """Read the keys, in a thread."""
        return await asyncio.to_thread(self.read)

    def read(self) -> Loaded:
        """Read the keys, unless the file has not changed since the last read."""
        try:
            return self._read()
        except OSError as problem:
            raise CannotLoad(problem.strerror or type(problem).__name__) from None

    def _read(self) -> Loaded:
        with self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            seen = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
            if seen != self._seen:
                content = file.read(LARGEST_FILE + 1)
                if len(content) > LARGEST_FILE:
                    raise ValueError(f"more than {LARGEST_FILE} bytes")
                self._keys, self._seen = parse_key_set(content), seen
        return Loaded(self._keys, FILE_FRESH)


def in_words(problem: Exception) -> str:
    """Return the problem of a document in words; the messages of parsers quote it and explain little."""
    return "not UTF-8 JSON" if isinstance(problem, UnicodeDecodeError | json.JSONDecodeError) else str(problem)


def loaded(document: Document, *, issuer: str | None = None) -> Loaded:
    """Return the keys in a fetched document, valid for `issuer` only if it is given."""
    fresh = FRESH if document.max_age is None else min(max(document.max_age, FRESH_AT_LEAST), FRESH_AT_MOST)
    return Loaded(parse_key_set(document.content, issuer=issuer), fresh)
