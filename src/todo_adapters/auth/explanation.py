"""Runs every check of a token and explains the results; `verify` stops at the first failure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from todo_adapters.auth.claims import CLIENT_CLAIMS, ClaimRules, Claims
from todo_adapters.auth.compact import Segments, ascii_of, header_problem, json_object, named_key, split
from todo_adapters.auth.keys import Key, KeySource
from todo_adapters.auth.refusal import PROMISES, Check, Reason, TokenRefused
from todo_domain.deadline import Deadline
from todo_domain.errors import Unavailable

_LONGEST_VALUE = 200


async def explain(
    token: str, keys: KeySource, rules: ClaimRules, now: float, *, deadline: Deadline | None = None
) -> list[Check]:
    """Return the checks in the order of Reason, as far as possible; the first failure is the result of `verify`.

    Claims are checked even if the signature is wrong, so they may be forged. The values of `iss`, `aud`, the client and
    `alg` are shown beside the configured ones; no sentence contains another part of the token or of a key.
    """
    try:
        segments = split(ascii_of(token))
    except TokenRefused as refused:
        passed = [Reason.TOO_LONG] if refused.reason == Reason.MALFORMED else []
        return [*map(_passed, passed), _failed(Reason(refused.reason), refused.why)]
    checks = [_passed(Reason.TOO_LONG), _passed(Reason.MALFORMED)]
    signers = await _signature(segments, keys, checks, deadline)
    try:
        claims = json_object(segments.payload, Reason.CLAIMS, "claims")
    except TokenRefused as refused:
        return [*checks, _failed(Reason.CLAIMS, refused.why)]
    return [*checks, *_claims(claims, rules, now, rules.issuers_of(signers))]


async def _signature(
    segments: Segments, keys: KeySource, checks: list[Check], deadline: Deadline | None
) -> Sequence[Key]:
    """Add the checks of header and signature; return the keys that made the signature."""
    try:
        header = json_object(segments.header, Reason.HEADER, "header")
    except TokenRefused as refused:
        checks.append(_failed(Reason.HEADER, refused.why))
        return ()
    problem = header_problem(header)
    checks.append(_result(Reason.HEADER, problem))
    if not isinstance(header.get("alg"), str) or not isinstance(header.get("kid", ""), str):
        return ()
    algorithm, kid = named_key(header)
    taken = ", ".join(sorted(keys.algorithms))
    known = algorithm in keys.algorithms
    checks.append(_result(Reason.ALGORITHM, None if known else f"alg must be {taken}", _shown(header["alg"]), taken))
    if not known:
        return ()
    try:
        found = keys.find(kid, algorithm) or await keys.search(kid, algorithm, deadline=deadline)
        signers = [key for key in found if key.signed(segments.message, segments.signature)]
        if found and not signers:
            found = await keys.search(kid, algorithm, deadline=deadline)
            signers = [key for key in found if key.signed(segments.message, segments.signature)]
    except Unavailable as outage:
        checks.append(_failed(Reason.KEY_UNKNOWN, str(outage)))
        return ()
    unknown = None if found else "the issuer has no key with this kid, or kid is missing and there are several keys"
    checks.append(_result(Reason.KEY_UNKNOWN, unknown))
    if found:
        forged = None if signers else "the signature was not made with this key, or the token was changed"
        checks.append(_result(Reason.SIGNATURE, forged))
    return signers


def _claims(claims: Claims, rules: ClaimRules, now: float, issuers: frozenset[str]) -> Iterator[Check]:
    clients = {name: claims[name] for name in CLIENT_CLAIMS if name in claims}
    shown = {
        Reason.ISSUER: (_shown(claims.get("iss")), _listed(rules.issuers)),
        Reason.AUDIENCE: (
            _shown(claims.get("aud")),
            "none: only tokens without aud" if rules.without_audience else _listed(rules.audiences),
        ),
        Reason.CLIENT: (_shown(clients or None), "any" if rules.any_client else _listed(rules.clients)),
    }
    for reason, problem in rules.checks(claims, now, issuers):
        yield _result(reason, problem, *shown.get(reason, ("", "")))


def _result(reason: Reason, problem: str | None, found: str = "", configured: str = "") -> Check:
    return Check(reason, problem is None, PROMISES[reason] if problem is None else problem, found, configured)


def _passed(reason: Reason) -> Check:
    return _result(reason, None)


def _failed(reason: Reason, problem: str) -> Check:
    return _result(reason, problem)


def _shown(value: object) -> str:
    """Return a value in ASCII, because a terminal interprets control characters."""
    return "nothing" if value is None else json.dumps(value)[:_LONGEST_VALUE]


def _listed(names: frozenset[str]) -> str:
    return " ".join(_shown(name) for name in sorted(names)) or "nothing: any value passes"
