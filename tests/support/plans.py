"""PostgreSQL's plan of a transaction's statement, by EXPLAIN, for parameters of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import psycopg

from todo_adapters.http.openapi.examples import RENT
from todo_adapters.sql.postgres.statements.edit import EDITABLE
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.task_columns import columns
from todo_adapters.sql.values import POSTGRESQL_FORMS

Plan = dict[str, Any]

SAMPLES: dict[str, Any] = {
    "id": 1,
    "now": datetime(2026, 3, 29, 12, tzinfo=UTC),
    "updated_at": datetime(2026, 3, 29, 12, tzinfo=UTC),
    "keys_since": datetime(2026, 3, 22, 12, tzinfo=UTC),
    "tombstones_since": datetime(2026, 1, 1, tzinfo=UTC),
    "quota": 10_000,
    "most": 21,
    "trash_since": datetime(2026, 2, 27, 12, tzinfo=UTC),
    "trashed": 1_000,
    "to_trash": True,
    "accepted": [1, 2],
    "made_from": 1,
    **{f"with_{name}": True for name in EDITABLE},
    "before": 2**53,
    "unless": -1,
    "since": 5,
    "timeout": "2300",
    "lock_timeout": "2300",
    **columns(RENT, POSTGRESQL_FORMS),
    "uid": "0199c3a8-5d1e",
    "key": "key",
    "fingerprint": b"digest",
    "digest": b"digest",
    "completed": True,
    "text": "buy",
    "priorities": [1, 2],
    "due_after": date(2026, 1, 1),
    "begins": 0,
    "began": datetime(2026, 1, 1, tzinfo=UTC),
    "kept": 1_000,
    "due_before": date(2027, 1, 1),
    "has_due_date": True,
    "at_id": 7,
    "ids": [1, 2, 3],
    "uids": ["0199c3a8-5d1e", "0199c3a8-5d1f"],
    "absent": ["0199c3a8-5d1e"],
    "passing": ["0199c3a8-5d1f"],
    "exact": None,
    "seen_revision": 9,
    "writes": 3,
    "growth": 0,
    "count_least": 0,
    "count_most": 10_000,
    "expected_ids": [1, 2],
    "expected_revisions": [1, 2],
    "tombstones": [3],
    "tombstone_revisions": [3],
    "restored_ids": [3],
    "restored": '[{"id": 3, "uid": "0199c3a8-5d1f", "step": 4, "title": "x", "title_key": "x"}]',
    "made": '[{"id": 0, "uid": "0199c3a8-5d1e", "step": 1, "ordinal": 0, "title": "x", "title_key": "x"}]',
    "edited": '[{"id": 1, "step": 2, "title": "x", "title_key": "x"}]',
    "deleted": '[{"id": 2, "step": 3}]',
    "deleted_ids": [2],
}
"""A value for each parameter of any statement but the owner, `at` and `expected`, which depend on the statement."""

_PLACES = {"created_at": SAMPLES["now"], "updated_at": SAMPLES["now"], "due_date": date(2026, 4, 1), "priority": 1}


@contextmanager
def planning(url: str) -> Iterator[psycopg.Connection]:
    """Connect to a database whose plans are asked for: what its catalogs say is read once for all of them."""
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as connection:
        yield connection


def plans(connection: psycopg.Connection, name: str, batch: Transaction, owner: str) -> Iterator[tuple[str, Plan]]:
    """Yield the text and the plan of each statement behind the context, planned as `todo_app` for one user."""
    values = {**SAMPLES, "owner": owner, "expected": [1] if "delete" in name else 1}
    values["at"] = next((place for field, place in _PLACES.items() if field in name), "buy")
    with connection.transaction(force_rollback=True):
        context, *statements = batch.statements
        names = batch.parameters
        connection.execute(context.text, [values[names[place]] for place in context.parameter_indexes])
        for statement in statements:
            arguments = [values[names[place]] for place in statement.parameter_indexes]
            ((((plan,),),),) = [connection.execute(b"EXPLAIN (FORMAT JSON) " + statement.text, arguments).fetchall()]
            yield statement.text.decode(), plan["Plan"]


def nodes(plan: Plan) -> Iterator[Plan]:
    """Yield every node of a plan, the parents first."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
