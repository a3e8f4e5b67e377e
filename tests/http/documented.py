"""The OpenAPI document as the tests read it."""

import json
from itertools import chain
from typing import Any

from conformance import resolved

from todo_adapters.http.openapi import openapi_json

DOCUMENT: dict[str, Any] = json.loads(openapi_json())
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
"""The method, the path and the description of each operation, by its name."""


def parameters(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters of an operation."""
    return [resolved(parameter) for parameter in operation["parameters"]]


def everything(part: Any) -> list[dict[str, Any]]:
    """Every object in a part of the document, however deep."""
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [*([part] if isinstance(part, dict) else []), *chain.from_iterable(map(everything, parts))]
