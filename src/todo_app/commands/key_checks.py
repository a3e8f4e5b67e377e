"""The checks of `todo doctor` that concern tokens: the keys in use, those left out and why, and cautions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from todo_adapters.audit import AuditLines
from todo_adapters.auth.jwks import FETCHED
from todo_app.identity import key_sets_of, verifier_of
from todo_app.settings import BadSetting
from todo_app.settings.identity import cautions, way_to_keys
from todo_app.settings.machine_secret import kept_secret
from todo_domain import Deadline, Unavailable

if TYPE_CHECKING:
    from todo_adapters.auth.jwks import JwksKeys
    from todo_app.settings import Settings


async def check_identity(settings: Settings) -> bool:
    """Print the keys that tokens are verified with, or the problem; return whether every key set was obtained."""
    if settings.needs_machine_secret:
        try:
            kept = kept_secret(settings)
        except BadSetting as problem:
            print(f"FAIL  identity: {problem}")
            return False
        print(f"ok    identity: no secret is set; todo serve keeps one in {kept.file}")
        return True
    try:
        key_sets = key_sets_of(settings, AuditLines("stderr"))
        verifier_of(settings, AuditLines("stderr"), key_sets)
    except BadSetting as problem:
        print(f"FAIL  identity: {problem}")
        return False
    if settings.jwt_secrets:
        print(f"ok    identity: {len(settings.jwt_secrets)} shared secret(s) (HS256)")
    had = [await _check(name, keys) for name, keys in key_sets.items()]
    for note in [*way_to_keys(settings), *cautions(settings)]:
        print(f"note  identity: {note}")
    return all(had)


async def _check(name: str, keys: JwksKeys) -> bool:
    try:
        await keys.check(deadline=Deadline.within(FETCHED.first))
    except Unavailable:
        print(f"FAIL  identity: {name}: {keys.failure}")
        return False
    finally:
        await keys.aclose()
    algorithms = ", ".join(f"{algorithm} {number}" for algorithm, number in keys.keys.algorithms.items())
    print(f"ok    identity: {name}: {len(keys.keys)} key(s): {algorithms}")
    for problem in keys.keys.left_out:
        print(f"note  identity: {name}: left out: {problem}")
    return True
