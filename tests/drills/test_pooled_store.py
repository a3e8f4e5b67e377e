"""PostgreSQL behind PgBouncer keeps the contract of every store.

`tests/integration/test_stores.py` has in `make test` the parts of it where a pooler matters most.
"""

import psycopg
import pytest

from store_contract.durability import DurableStoreContract


@pytest.mark.long
class TestPostgresThroughPgBouncer(DurableStoreContract):
    refusal = psycopg.errors.CheckViolation

    @pytest.fixture
    def place(self, pgbouncer_place):
        return pgbouncer_place
