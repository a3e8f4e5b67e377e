"""PostgreSQL behind PgBouncer keeps the contract of every store.

The short form leaves out what `tests/integration/test_stores.py` has in `make test`, where a pooler matters most.
"""

import psycopg
import pytest

from store_contract.changes import Changes
from store_contract.durability import DurableStoreContract
from store_contract.keys import Keys
from store_contract.lists import Lists
from store_contract.naming import Naming
from store_contract.purging import Purging
from store_contract.retries import Retries
from store_contract.trash import Trash
from store_contract.writes import Writes
from support.length import LONG


class Rest(Writes, Naming, Retries, Keys, Lists, Changes, Purging, Trash):
    """The contract without those parts."""


class TestPostgresThroughPgBouncer(DurableStoreContract if LONG else Rest):
    refusal = psycopg.errors.CheckViolation

    @pytest.fixture
    def place(self, pgbouncer_place):
        return pgbouncer_place
