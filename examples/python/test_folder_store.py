"""The store of this folder keeps the contract of every store."""

from contextlib import asynccontextmanager

import msgspec
import pytest
from folder_store import Account, FolderTasks

from store_contract.durability import DurableStoreContract


class Folder:
    """Data that outlives the stores over it."""

    def __init__(self, path):
        self.path = path

    @asynccontextmanager
    async def open(self):
        store = FolderTasks(self.path)
        await store.open()
        yield store
        await store.aclose()

    def count(self, table, owner):
        file = FolderTasks(self.path)._file(owner)
        account = msgspec.json.decode(file.read_bytes(), type=Account) if file.exists() else Account()
        rows = {"tasks": account.tasks, "tombstones": account.tombstones, "trash": account.trash}
        feeds = [] if account.feed is None else [account.feed]
        return len((rows | {"idempotency_keys": account.keys, "feeds": feeds})[table])


class TestFolder(DurableStoreContract):
    @pytest.fixture
    def place(self, tmp_path):
        return Folder(tmp_path / "tasks")
