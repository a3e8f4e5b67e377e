"""What spans cost a request: one task read from the memory store in this process, least of many rounds.

.venv/bin/python benchmarks/tracing.py

Off, on with every request sampled, and on with none: each a whole request through the application, without a server.
Sampled spans are queued, taken by the sender's thread and encoded, as for a collector; only the connection is left out.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

import jwt
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from todo_adapters.memory import MemoryTasks
from todo_adapters.observability.trace_context import SERVED
from todo_adapters.observability.tracing import Tracing
from todo_app.compose import application
from todo_app.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

ROUNDS: Final = 30
REQUESTS: Final = 500
SECRET: Final = "a-secret-of-at-least-thirty-two-bytes"


class Encoder(SpanExporter):
    """Encodes spans, and sends them nowhere."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


class Service:
    """An application over a memory store with one task."""

    def __init__(self, tracing: Tracing | None) -> None:
        chosen = {"TODO_DATABASE_URL": "memory:", "TODO_JWT_SECRET": SECRET, "TODO_AUDIT_LOG": "/dev/null"}
        self._app: Any = application(read_settings(environment=chosen), store=MemoryTasks(), tracing=tracing)
        token = jwt.encode({"sub": "ann", "exp": int(time.time()) + 3600}, SECRET, "HS256")
        self._headers = [(b"authorization", b"Bearer " + token.encode()), (b"content-type", b"application/json")]
        self.least = float("inf")

    async def ask(self, method: str, path: str, body: bytes = b"") -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "root_path": "",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": self._headers,
            "state": {},
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(_: Any) -> None:
            pass

        await self._app(scope, receive, send)

    async def round(self) -> None:
        """Time REQUESTS reads, and keep what one took if it is the least so far."""
        begun = time.perf_counter()
        for _ in range(REQUESTS):
            await self.ask("GET", "/api/me/tasks/1")
        self.least = min(self.least, (time.perf_counter() - begun) / REQUESTS * 1e6)


def spans(sampler: str) -> Tracing:
    """Return tracing with this sampler."""
    os.environ["OTEL_TRACES_SAMPLER"] = sampler
    return Tracing("memory", processor=BatchSpanProcessor(Encoder()))


def noting() -> float:
    """Return the microseconds that noting the request for log lines takes: all that there is with tracing off."""

    def times() -> float:
        scope: dict[str, Any] = {}
        begun = time.perf_counter()
        for _ in range(100_000):
            SERVED.set(scope)
        return (time.perf_counter() - begun) * 10

    return min(copy_context().run(times) for _ in range(9))


async def measure() -> None:
    """Print microseconds for each request."""
    services = {"off": Service(None), "on, all": Service(spans("always_on")), "on, none": Service(spans("always_off"))}
    for service in services.values():
        await service.ask("POST", "/api/me/tasks", b'{"title": "x"}')
    for _ in range(ROUNDS):
        for service in services.values():
            await service.round()
    print("   ".join(f"{name}: {service.least:.1f} µs" for name, service in services.items()))
    print(f"off includes {noting():.2f} µs for the request id in log lines")


if __name__ == "__main__":
    asyncio.run(measure())
