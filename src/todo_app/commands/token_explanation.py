"""`todo token --explain`: prints each check that the service makes of a token, and its result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from todo_adapters.audit import AuditLines
from todo_adapters.auth.jwks import FETCHED
from todo_adapters.auth.refusal import Check, Reason
from todo_app.commands.pasted_token import by_content, by_sight, pasted_token, unverified
from todo_app.identity import key_sets_of, verifier_of
from todo_domain import Deadline

if TYPE_CHECKING:
    from todo_app.settings import Settings

_COMPARED: Final = frozenset({Reason.ISSUER, Reason.AUDIENCE, Reason.CLIENT})
"""The checks that compare the token with settings."""


def explain(settings: Settings, text: str) -> bool:
    """Print each check that the service makes of the token in `text`; return whether all pass.

    The token is never printed. Of its claims, iss, aud and the client are printed beside the configured values.
    """
    token = pasted_token(text)
    checks = asyncio.run(_checks(settings, token))
    for check in checks:
        print(f"{'ok   ' if check.passed else 'FAIL '} {check.reason}: {check.sentence}")
        if check.configured:
            print(f"        found       {check.found}\n        configured  {check.configured}")
    read = unverified(token)
    hint = by_sight(token) or (by_content(read[1]) if read else None)
    if hint is None and any(check.reason in _COMPARED and not check.passed for check in checks):
        hint = "todo token --suggest prints the settings that accept this token"
    if hint is not None:
        print(f"note  {hint}")
    return all(check.passed for check in checks)


async def _checks(settings: Settings, token: str) -> list[Check]:
    """Return the checks, with the cause if keys could not be obtained."""
    key_sets = key_sets_of(settings, AuditLines("stderr"))
    verifier = verifier_of(settings, AuditLines("stderr"), key_sets)
    try:
        checks = await verifier.explain(token, deadline=Deadline.within(FETCHED.first))
    finally:
        await verifier.aclose()
    causes = "; ".join(f"{name}: {keys.failure}" for name, keys in key_sets.items() if keys.failure)
    return [
        check._replace(sentence=f"{check.sentence} ({causes})")
        if check.reason == Reason.KEY_UNKNOWN and not check.passed and causes
        else check
        for check in checks
    ]
