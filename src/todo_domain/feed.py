"""The calendar feed of a user: the secret token that opens it, and where its digest is kept."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from hashlib import sha256
from secrets import token_bytes
from typing import Final, NamedTuple, Protocol

from todo_domain.deadline import Deadline
from todo_domain.errors import Invalid, NotFound
from todo_domain.memory_budget import MemoryBudget
from todo_domain.owner import UserId, user_id
from todo_domain.query import Page, Query, Sort

_SECRET: Final = 20
"""The number of random bytes of a token: 160 bits."""


class FeedToken(NamedTuple):
    """The secret that opens a feed: random bytes, and the user id, which everybody who has the token can read."""

    owner: UserId
    secret: bytes

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the token, which the store keeps. The token cannot be found from it."""
        return sha256(self._whole()).digest()

    @property
    def text(self) -> str:
        """The token as a part of a URL: the random bits and the user id in UTF-8, in base64url (RFC 4648)."""
        return urlsafe_b64encode(self._whole()).decode().rstrip("=")

    def _whole(self) -> bytes:
        return self.secret + self.owner.encode()


def new_feed_token(owner: UserId) -> FeedToken:
    """Return a token that nobody can guess."""
    return FeedToken(owner, token_bytes(_SECRET))


def read_feed_token(text: str) -> FeedToken:
    """Return the token of which this is the `text`, or raise NotFound. A token has one spelling."""
    try:
        whole = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        token = FeedToken(user_id(whole[_SECRET:].decode()), whole[:_SECRET])
    except (binascii.Error, ValueError, Invalid):
        raise NotFound from None
    if token.text != text:
        raise NotFound
    return token


def feed_query(limit: int | None) -> Query:
    """Return the query for the tasks of a feed: the open ones with a due date, the earliest first."""
    return Query(completed=False, has_due_date=True, sort=Sort("due_date", descending=False), limit=limit)


class Feeds(Protocol):
    """Where the digests of feeds are kept: the part of the port `Tasks` about the feed, of which a user has one."""

    async def make_feed(self, owner: UserId, digest: bytes, *, now: datetime, deadline: Deadline | None = None) -> None:
        """Keep the digest of a token, instead of the previous one. The counter stays."""

    async def end_feed(self, owner: UserId, *, deadline: Deadline | None = None) -> bool:
        """Forget the digest, and return whether there was one. The counter stays."""

    async def feed(
        self,
        owner: UserId,
        digest: bytes,
        *,
        unless: int | None,
        limit: int | None = None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        """Return the tasks of `feed_query`, with the counter of the same snapshot.

        Raises NotFound unless the digest is the one that is kept. The caller is not authenticated and may name any
        owner. Therefore the digest is compared before a task is read, in the same snapshot, and a wrong digest takes
        the same work whether or not there is such a user, a feed or a task. `unless` and `budget` are as in `page`.
        """
