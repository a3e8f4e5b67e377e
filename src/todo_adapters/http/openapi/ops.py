"""The operations outside `/api`. A new one goes here and into `OPERATIONS`."""

from __future__ import annotations

from typing import Final

from todo_adapters.http.openapi.answers import EVERY_ROUTE, answer, common
from todo_adapters.http.openapi.examples import named
from todo_adapters.http.openapi.operation import Operation
from todo_adapters.http.openapi.schemas import reference

LIVE: Final = Operation(
    "get",
    "/health/live",
    "live",
    "operations",
    "Whether the process is alive",
    {"200": answer("It is.", reference("Health"), examples=named(live={"status": "live"}))} | EVERY_ROUTE,
)

READY: Final = Operation(
    "get",
    "/health/ready",
    "ready",
    "operations",
    "Whether requests can be served right now",
    {"200": answer("They can.", reference("Health"), examples=named(ready={"status": "ready"}))}
    | common(_503="Unavailable")
    | EVERY_ROUTE,
)

METRICS: Final = Operation(
    "get",
    "/metrics",
    "metrics",
    "operations",
    "Numbers for Prometheus",
    {"200": answer("The text format of Prometheus.", {"type": "string"}, media_type="text/plain")} | EVERY_ROUTE,
)

CONTRACT: Final = Operation(
    "get",
    "/openapi.json",
    "contract",
    "operations",
    "This document",
    {"200": answer("OpenAPI 3.1.", {"type": "object", "required": ["openapi", "info", "paths"]})} | EVERY_ROUTE,
)

DOCS: Final = Operation(
    "get",
    "/docs",
    "docs",
    "operations",
    "This document for people",
    {"200": answer("A page that loads nothing from other hosts.", {"type": "string"}, media_type="text/html")}
    | EVERY_ROUTE,
)
