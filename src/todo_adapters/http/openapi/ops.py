"""The operations outside `/api`. A new one is added here and to `OPERATIONS`."""

from __future__ import annotations

from typing import Final

from todo_adapters.http.endpoints.docs import FILES
from todo_adapters.http.openapi.examples import named
from todo_adapters.http.openapi.operation import Operation
from todo_adapters.http.openapi.responses import EVERY_ROUTE, common, response
from todo_adapters.http.openapi.schemas import reference

_GUARD: Final = {"Content-Security-Policy": "", "Referrer-Policy": ""}

LIVE: Final = Operation(
    "get",
    "/health/live",
    "live",
    "operations",
    "Whether the process is alive",
    {"200": response("It is.", reference("Health"), examples=named(live={"status": "live"}))} | EVERY_ROUTE,
)

READY: Final = Operation(
    "get",
    "/health/ready",
    "ready",
    "operations",
    "Whether requests can be served right now",
    {"200": response("They can.", reference("Health"), examples=named(ready={"status": "ready"}))}
    | common("Unavailable")
    | EVERY_ROUTE,
)

METRICS: Final = Operation(
    "get",
    "/metrics",
    "metrics",
    "operations",
    "Metrics for Prometheus",
    {"200": response("The text format of Prometheus.", {"type": "string"}, media_type="text/plain")} | EVERY_ROUTE,
)

CONTRACT: Final = Operation(
    "get",
    "/openapi.json",
    "contract",
    "operations",
    "This document",
    {
        "200": response(
            "OpenAPI 3.1.",
            {
                "type": "object",
                "required": ["openapi", "info", "paths"],
                "properties": {"openapi": {"type": "string"}, "info": {"type": "object"}, "paths": {"type": "object"}},
            },
            headers={"Content-Encoding": ""},
        )
    }
    | EVERY_ROUTE,
)

FRONT: Final = Operation(
    "get",
    "/",
    "front",
    "operations",
    "Redirect to the page for people",
    {"307": response("See `docs`.", headers={"Location": "Docs-Location"})} | EVERY_ROUTE,
)

DOCS: Final = Operation(
    "get",
    "/docs",
    "docs",
    "operations",
    "This document for people",
    {
        "200": response(
            "A page that loads nothing from other hosts.", {"type": "string"}, media_type="text/html", headers=_GUARD
        )
    }
    | EVERY_ROUTE,
)

_FILE: Final = response("The file.", {"type": "string"}, headers=_GUARD)
_FILE["content"] = {media_type: {"schema": {"type": "string"}} for media_type in FILES.values()}

DOCS_FILE: Final = Operation(
    "get",
    "/docs/{name}",
    "docs_file",
    "operations",
    "A file of that page",
    {"200": _FILE} | common("NoSuchRoute") | EVERY_ROUTE,
    parameters=[
        {
            "name": "name",
            "in": "path",
            "required": True,
            "description": "A file of the page.",
            "schema": {"type": "string", "enum": list(FILES)},
        }
    ],
)
