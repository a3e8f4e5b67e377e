"""The batch operation."""

from __future__ import annotations

from typing import Final

from todo_adapters.http.openapi import examples as ex
from todo_adapters.http.openapi.operation import Operation, body
from todo_adapters.http.openapi.responses import BELOW_API, common, invalid, refused, response
from todo_adapters.http.openapi.schemas import reference
from todo_adapters.http.protocol.batches import parse_batch
from todo_adapters.http.protocol.errors import JSON_TYPES
from todo_domain import Exists, Gone, OperationFailed, Stale
from todo_domain.operations import MOST_OPERATIONS

_QUEUE: Final[ex.Example] = {
    "operations": [
        {"op": "put", "key": ex.NEW_UID, "create_only": True, "task": {"title": "Call the plumber"}},
        {"op": "patch", "key": ex.NEW_UID, "task": {"priority": "high"}},
        {"op": "patch", "key": ex.GROCERIES.id, "task": {"completed": True}},
        {"op": "delete", "key": ex.RENT.id},
    ]
}
_REPEATED: Final[ex.Example] = {
    "operations": [
        {"op": "put", "key": ex.GROCERIES.uid, "create_only": True, "task": {"title": "Buy groceries"}},
        {"op": "patch", "key": ex.RENT.id, "if_match": ex.RENT.revision - 1, "task": {"title": "Pay the rent again"}},
        {"op": "put", "key": ex.DELETED.uid, "task": {"title": "Water the plants"}},
        {"op": "patch", "key": ex.GROCERIES.id, "task": {"tags": ["Home", "home"]}},
        {"op": "delete", "key": ex.GROCERIES.id},
    ]
}
_ATOMIC: Final[ex.Example] = {
    "atomic": True,
    "operations": [
        {"op": "patch", "key": ex.GROCERIES.id, "if_match": ex.GROCERIES.revision, "task": {"position": "a1"}},
        {"op": "patch", "key": ex.RENT.id, "if_match": ex.RENT.revision, "task": {"position": "a2"}},
    ],
}

BATCH: Final = Operation(
    "post",
    "/api/{user_id}/batch",
    "do_batch",
    "sync",
    f"Do up to {MOST_OPERATIONS} operations in one transaction",
    {
        "200": response(
            "Every operation is done.",
            reference("BatchResults"),
            examples=ex.named(queue=ex.batched(_QUEUE), atomic=ex.batched(_ATOMIC)),
        ),
        "207": response(
            "Some operations failed: `failed` says how many. The others are done.",
            reference("BatchResults"),
            examples=ex.named(repeated=ex.batched(_REPEATED)),
        ),
    }
    | invalid(
        no_operations=lambda: parse_batch(b'{"operations": []}'),
        bad_key=lambda: parse_batch(b'{"operations": [{"op": "delete", "key": "undefined"}]}'),
        unknown_member=lambda: parse_batch(b'{"operations": [{"op": "delete", "key": 9, "if-match": 17}]}'),
    )
    | {
        "410": refused(
            "An operation of an atomic batch failed: the task of its uid was deleted. Nothing was written.",
            {
                "gone": OperationFailed(0, Gone(ex.DELETED, restorable=True), known=True),
                "deleted_before": OperationFailed(1, Gone(ex.DELETED, restorable=True), known=False),
            },
        ),
        "412": refused(
            "An operation of an atomic batch failed: `if_match`, or the `revision` in its task; or, with "
            "`create_only`, the task exists. Nothing was written; `current` is the task as it is now.",
            {
                "stale": OperationFailed(1, Stale(ex.GROCERIES), known=True),
                "exists": OperationFailed(0, Exists(ex.GROCERIES), known=True),
                "made_before": OperationFailed(1, Exists(ex.GROCERIES), known=False),
            },
        ),
    }
    | common("QuotaReached", "NoSuchTask", "BatchTooLarge", "NotJson")
    | BELOW_API,
    "The operations are done in order, each by the rules of its single request: `create_only` is `If-None-Match: *`, "
    "`if_match` is one revision. A failed operation changes nothing, the others are done; an error inside a "
    "`task` is the result of that operation alone. With `atomic`, the first failure answers the whole request with "
    "its status and its `index`, and nothing is written. It is 400 only if the operations cannot be distinguished. "
    "A batch may be sent again: 412 `exists`, 410, 404 on a delete, and a `stale` whose `current` already has the "
    "values that were sent, mean that the operation is done.",
    body=body("Batch", JSON_TYPES, queue=_QUEUE, repeated=_REPEATED, atomic=_ATOMIC),
)
