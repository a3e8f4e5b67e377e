"""The composition root: makes the application from the settings; the one module that knows every adapter."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from todo_adapters.audit import AuditLines
from todo_adapters.auth.verifier import Verifier
from todo_adapters.http.application import http_application
from todo_adapters.http.live import Live
from todo_adapters.http.middleware.admission import Admission
from todo_adapters.http.middleware.fairness import FairTasks
from todo_adapters.http.openapi import openapi_json
from todo_adapters.http.protocol.response_memory import ResponseMemory
from todo_adapters.memory import MemoryTasks
from todo_adapters.observability.metrics import Metrics, Pooled
from todo_app.identity import verifier_of
from todo_app.logs import configure_logging
from todo_app.settings import BadSetting, Settings, read_settings
from todo_app.settings.identity import cautions, way_to_keys
from todo_app.wakes import Wakes
from todo_domain import AuditLog, Clock, NotIsolated, Tasks, TaskService, TokenVerifier, Unavailable
from todo_domain.memory_budget import LARGEST_TASK
from todo_domain.owner import DEFAULT_QUOTA
from todo_domain.ports import utc_now

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import ASGIApp

    from todo_adapters.http.middleware.rate_limit import Rate
    from todo_adapters.observability.tracing import Tracing

log = logging.getLogger("todo")


class Store(Tasks, Protocol):
    """A store that is opened and closed."""

    async def open(self) -> None:
        """Get ready to serve."""

    async def aclose(self) -> None:
        """Release every connection, file and thread."""


def application(
    settings: Settings,
    *,
    store: Store | None = None,
    verifier: TokenVerifier | None = None,
    audit: AuditLog | None = None,
    clock: Clock = utc_now,
    tracing: Tracing | None = None,
) -> ASGIApp:
    """Return the ASGI application of a deployment. Tests and other programs may replace any part."""
    audit = audit or audit_of(settings)
    store = store or store_of(settings)
    verifier = verifier or verifier_of(settings, audit)
    metrics = Metrics(store if isinstance(store, Pooled) else None)
    timed = metrics.timed(store)
    if (tracing := tracing or tracing_of(settings)) is not None:
        timed = tracing.store(timed)
    admission = Admission()
    wakes = Wakes(settings, store, metrics)
    waking = wakes.waking(timed)
    service = TaskService(
        FairTasks(admission.counted(waking)),
        clock=clock,
        quota=settings.max_tasks_per_user,
        trash_kept=timedelta(days=settings.trash_days),
    )
    live = Live(wakes.listeners, TaskService(FairTasks(waking), clock=clock), metrics)

    import_limit = min(settings.max_import_bytes, settings.max_bodies_bytes)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        try:
            with suppress(Unavailable):  # the check below logs it; a worker that failed would end all the others
                await store.open()
            audit.record("start", pid=os.getpid(), **settings.public())
            for caution in [*cautions(settings), *memory_of_quota(settings)]:
                log.warning(caution)
            for fact in way_to_keys(settings):
                log.info(fact)
            if isinstance(verifier, Verifier):
                await verifier.open()
            await _note_isolation(store, audit)
            async with wakes.running():
                yield
        finally:
            if isinstance(verifier, Verifier):
                await verifier.aclose()
            audit.record("stop", pid=os.getpid())
            await store.aclose()
            if isinstance(audit, AuditLines):
                await audit.aclose()
            if tracing is not None:
                await tracing.aclose()

    app = http_application(
        service=service,
        store=timed,
        verifier=verifier,
        audit=audit,
        lifespan=lifespan,
        cors_origins=settings.cors_origins,
        body_limit=settings.max_body_bytes,
        batch_limit=settings.max_batch_bytes,
        import_limit=import_limit,
        bodies_limit=settings.max_bodies_bytes,
        user_rate=_rate(settings.rate_limit_user, "user"),
        refused_rate=_rate(settings.rate_limit_refused, "refused_tokens"),
        openapi=openapi_json(
            body_limit=settings.max_body_bytes,
            batch_limit=settings.max_batch_bytes,
            import_limit=import_limit,
            quota=settings.max_tasks_per_user,
            erase=settings.erase,
            feeds=settings.feeds,
        )
        if settings.docs
        else None,
        erase=settings.erase,
        feeds=settings.feeds,
        metrics=metrics,
        admission=admission,
        live=live,
        response_memory=ResponseMemory(settings.max_answers_bytes),
    )
    return app if tracing is None else tracing.around(app)


def from_environment() -> ASGIApp:
    """Return the application that the environment describes; worker processes and other ASGI servers call this.

    Raises SystemExit with one sentence if a setting cannot be used: it may have changed since the other workers
    started.
    """
    try:
        settings = read_settings()
        configure_logging(settings)
        return application(settings)
    except BadSetting as problem:
        raise SystemExit(f"todo: {problem}") from None


def audit_of(settings: Settings) -> AuditLines:
    """Return the audit log that the settings name, or raise BadSetting if it cannot be written."""
    try:
        on_terminal = settings.audit_log == "stderr" and sys.stderr.isatty()
        return AuditLines(settings.audit_log, readable=on_terminal and settings.log_format != "json")
    except OSError as problem:
        raise BadSetting(f"TODO_AUDIT_LOG must be stderr or a file to append to: {problem.strerror}") from None


def memory_of_quota(settings: Settings) -> list[str]:
    """Return a sentence about the memory that a quota above the default needs: a user's list is read whole."""
    quota = settings.max_tasks_per_user
    if quota <= DEFAULT_QUOTA:
        return []
    mebibytes = quota * LARGEST_TASK // 2**20
    consequence = (
        f"TODO_MAX_TASKS_PER_USER={quota}: while the longest list of one user is sent, it takes {mebibytes:,} MiB of a "
        "worker's memory beside TODO_MAX_ANSWERS_BYTES; reading it may take longer than a request may"
    )
    return [consequence]


async def _note_isolation(store: Store, audit: AuditLog) -> None:
    """Record in the audit log if the database does not isolate users; readiness reports it, too."""
    try:
        await store.check()
    except NotIsolated as problem:
        audit.record("rls_not_in_force", reason="start", problem=str(problem))
    except Unavailable as problem:
        log.warning("the store is not ready yet: %s", problem)


def _rate(limit: str | None, reason: str) -> Rate | None:
    if limit is None:
        return None
    from todo_adapters.http.middleware.rate_limit import Rate  # noqa: PLC0415  its library takes a while to import

    return Rate(limit, reason=reason)


def tracing_of(settings: Settings) -> Tracing | None:
    """Return the tracing of the settings, None if it is off or not installed. Raises BadSetting if it is unusable."""
    if not settings.tracing:
        return None
    try:
        from todo_adapters.observability.tracing import Tracing  # noqa: PLC0415  an extra, and slow to import
    except ModuleNotFoundError:
        log.warning("nothing is traced, because OpenTelemetry is not installed: pip install 'todo[otel]'")
        return None
    try:
        return Tracing(settings.database.kind)
    except ValueError as problem:
        raise BadSetting(f"one of the OTEL_ variables cannot be used: {problem}") from None


def store_of(settings: Settings) -> Store:
    """Return the store that the settings name, not yet open."""
    database = settings.database
    if database.url is not None:
        from todo_adapters.sql.postgres.store import PostgresTasks  # noqa: PLC0415  a SQLite deployment loads no PostgreSQL driver

        return PostgresTasks(database.url, pool_size=settings.pool_size)
    if database.file is not None:
        from todo_adapters.sql.sqlite.store import SqliteTasks  # noqa: PLC0415  a PostgreSQL deployment loads no SQLite

        return SqliteTasks(database.file)
    return MemoryTasks()
