"""The accounts that the memory store keeps, and the feeds of users."""

from __future__ import annotations

from datetime import datetime

from todo_adapters.memory.account import Account
from todo_domain.deadline import Deadline
from todo_domain.errors import NotFound
from todo_domain.feed import feed_query
from todo_domain.memory_budget import MemoryBudget
from todo_domain.memory_budget import count as count_memory
from todo_domain.owner import UserId
from todo_domain.query import Page, select


class MemoryFeeds:
    """The methods of the port `Tasks` about the feed. A user who never wrote may have a feed, and no account."""

    def __init__(self) -> None:
        self._accounts: dict[UserId, Account] = {}
        self._feeds: dict[UserId, bytes] = {}

    async def make_feed(self, owner: UserId, digest: bytes, *, now: datetime, deadline: Deadline | None = None) -> None:
        """Keep the digest of a token."""
        self._feeds[owner] = digest

    async def end_feed(self, owner: UserId, *, deadline: Deadline | None = None) -> bool:
        """Forget the digest."""
        return self._feeds.pop(owner, None) is not None

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
        """Return the open tasks with a due date."""
        if self._feeds.get(owner) != digest:
            raise NotFound
        account = self._account(owner)
        if account.revision == unless:
            return Page([], account.revision, more=False)
        due, more = select(account.tasks.values(), feed_query(limit))
        count_memory(due, budget)
        return Page(due, account.revision, more)

    def _account(self, owner: UserId, *, begins: int = 0) -> Account:
        """Return the owner's account, or a new one, not stored, for a user who never wrote."""
        return self._accounts.get(owner) or Account(begins)
