"""PostgreSQL behind PgBouncer keeps the contract of every store; `test_stores` has the part where a pooler matters."""

import psycopg
import pytest

from store_contract.durability import DurableStoreContract


class TestPostgresThroughPgBouncer(DurableStoreContract):
    refusal = psycopg.errors.CheckViolation

    @pytest.fixture
    def place(self, pgbouncer_place):
        return pgbouncer_place
