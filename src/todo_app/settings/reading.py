"""Reads the settings from options, the environment and a `.env` file, and refuses contradictions."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from todo_app.settings.dotenv_file import dotenv_file
from todo_app.settings.identity import check_identity
from todo_app.settings.table import BadSetting, Settings, rows


def read_settings(
    overrides: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    only: Collection[str] | None = None,
) -> Settings:
    """Return the settings from `overrides`, else the environment, else a `.env` file in the working directory.

    With `only`, every other field of the table keeps its default. An empty variable counts as not set. Raises
    BadSetting for the first variable that cannot be used.
    """
    if environment is None:
        dotenv = dotenv_file()
        for name in dotenv.keys() - os.environ.keys():
            if name.startswith("OTEL_"):
                os.environ[name] = dotenv[name]  # OpenTelemetry's SDK reads the environment itself
        environment = dotenv | dict(os.environ)
    given = {name: value.strip() for name, value in {**environment, **(overrides or {})}.items() if value.strip()}
    values: dict[str, Any] = {}
    for name, row in rows().items():
        variable = next((variable for variable in row.variables if variable in given), None)
        if variable is not None and (only is None or name in only):
            try:
                given[variable].encode()
                values[name] = row.parse(given[variable])
            except UnicodeEncodeError:
                raise BadSetting(f"{variable} must be UTF-8: it has bytes that are not") from None
            except ValueError as problem:
                raise BadSetting(f"{variable} {problem}") from None
    settings = Settings(**values)
    if _traces_are_off(given):
        settings = replace(settings, tracing=False)
    check_identity(settings)
    _check_together(settings)
    return settings


def misspelt_settings() -> list[str]:
    """Return a sentence for each variable of the environment or `.env` whose name is nearly that of a setting.

    Other names are left alone: Kubernetes sets variables such as `TODO_SERVICE_HOST`.
    """
    known = {variable for row in rows().values() for variable in row.variables}
    found = sorted(name for name in {*os.environ, *dotenv_file()} - known if name.startswith("TODO_"))
    return [
        f"{name} is not a setting and has no effect: use {nearest}"
        for name in found
        for nearest in get_close_matches(name, known, n=1, cutoff=0.9)
    ]


def _traces_are_off(given: Mapping[str, str]) -> bool:
    """Return whether OpenTelemetry's own variables turn traces off; its SDK reads the others itself."""
    disabled = given.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return disabled or given.get("OTEL_TRACES_EXPORTER", "").lower() == "none"


def _check_together(settings: Settings) -> None:
    if settings.database.kind == "memory" and settings.workers > 1:
        raise BadSetting(
            "TODO_WORKERS must be 1 if TODO_DATABASE_URL is memory: (each worker would have its own tasks)"
        )
    if settings.direct_url and settings.database.kind != "postgresql":
        raise BadSetting("TODO_DATABASE_DIRECT_URL needs a PostgreSQL TODO_DATABASE_URL")
    if settings.max_bodies_bytes < max(settings.max_body_bytes, settings.max_batch_bytes):
        raise BadSetting(
            "TODO_MAX_BODIES_BYTES must be at least TODO_MAX_BODY_BYTES and TODO_MAX_BATCH_BYTES, or the longest body "
            "would always be refused"
        )
