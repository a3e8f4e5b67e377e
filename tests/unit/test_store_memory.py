"""The memory store keeps the contract of every store."""

import pytest

from store_contract import StoreContract


class TestMemory(StoreContract):
    @pytest.fixture
    def place(self, memory_place):
        return memory_place
