"""Claims that no honest issuer would make, or not for this service, or not for now. Their signatures are good."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

from support.issuers import dumps

Row = tuple[str, bytes, str]
"""A name, a payload, and the reason for which a token with it is refused."""

MISSING = object()
NOT_SECONDS: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "a string of digits": "4102444800",
    "an empty string": "",
    "an ISO date": "2099-01-01T00:00:00Z",
    "a list": [4102444800],
    "an object": {"seconds": 4102444800},
    "negative": -1,
    "a negative fraction": -0.5,
    "in the year 10000": 253_402_300_800,
    "in milliseconds": 4_102_444_800_000,
    "2^53 + 1": 2**53 + 1,
    "1e300": 1e300,
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "minus Infinity": float("-inf"),
}


def honest_claims(now: float, **members: object) -> dict[str, object]:
    """Claims that are good for five minutes, for a user nobody has seen before; MISSING leaves one out."""
    claims = {"sub": secrets.token_urlsafe(24), "iat": int(now), "exp": int(now) + 300, **members}
    return {name: value for name, value in claims.items() if value is not MISSING}


def hostile_claims(now: float, max_lifetime: float, issuer: str | None, audience: str | None) -> Iterator[Row]:
    """Yield payloads. `issuer` and `audience` are what the service asks for; without them, nothing is said of them."""
    good = honest_claims(now, **({"iss": issuer} if issuer else {}), **({"aud": audience} if audience else {}))
    yield from _documents(good)
    yield from _times(good, int(now), int(max_lifetime))
    yield from _subjects(good)
    if issuer:
        yield from _issuers(good, issuer)
    if audience:
        yield from _audiences(good, audience)


def _with(good: dict[str, object], **members: object) -> bytes:
    return dumps({name: value for name, value in {**good, **members}.items() if value is not MISSING})


def _documents(good: dict[str, object]) -> Iterator[Row]:
    text = dumps(good).decode()

    def more(members: str) -> bytes:
        return f"{text[:-1]},{members}}}".encode()

    documents = {
        "are an array": f"[{text}]".encode(),
        "are null": b"null",
        "are true": b"true",
        "are a number": b"1",
        "are a string": dumps(text),
        "are no JSON": b"sub=me",
        "end early": text[:-1].encode(),
        "go on after their end": text.encode() + b"}",
        "are two documents": text.encode() * 2,
        "end in NUL": text.encode() + b"\0",
        "have a trailing comma": f"{text[:-1]},}}".encode(),
        "have a comment": f"/**/{text}".encode(),
        "have single quotes": text.replace('"', "'").encode(),
        "are a token themselves": b"eyJhbGciOiJub25lIn0.e30.AA",
        "are UTF-16": text.encode("utf-16"),
        "are UTF-16 LE": text.encode("utf-16-le"),
        "are UTF-16 BE": text.encode("utf-16-be"),
        "are UTF-32": text.encode("utf-32"),
        "begin with a byte order mark": text.encode("utf-8-sig"),
        "are Latin-1": more('"name":"caf\xe9"').decode().encode("latin-1"),
        "have an overlong slash": more('"name":"@"').replace(b"@", b"\xc0\xaf"),
        "have a surrogate in UTF-8": more('"name":"@"').replace(b"@", b"\xed\xa0\x80"),
        "have a raw line feed in a string": more('"name":"a\nb"'),
        "have a raw NUL in a string": more('"name":"a\0b"'),
        "name sub twice": more('"sub":"admin"'),
        "name sub twice, once escaped": more('"s\\u0075b":"admin"'),
        "name exp twice": more('"exp":4102444800'),
        "name iat twice": more('"iat":0'),
        "name a foreign claim twice": more('"a":1,"a":1'),
        "name something twice inside": more('"a":[{"b":1,"b":2}]'),
        "have NaN": more('"a":NaN'),
        "have Infinity": more('"a":Infinity'),
        "have minus Infinity": more('"a":-Infinity'),
        "have a leading zero": more('"a":01'),
        "have a plus": more('"a":+1'),
        "have a hexadecimal number": more('"a":0x1'),
        "are arrays in arrays": more('"a":' + "[" * 2500 + "]" * 2500),
        "are arrays in arrays without an end": more('"a":' + "[" * 5000),
        "are objects in objects": more('"a":' + '{"":' * 900 + "1" + "}" * 900),
        "are 500 objects": more('"a":[' + ",".join(["{}"] * 500) + "]"),
    }
    for name, document in documents.items():
        yield f"claims that {name}", document, "claims"
    yield "claims that are empty", b"{}", "claims"


def _times(good: dict[str, object], now: int, longest: int) -> Iterator[Row]:
    yield "exp is missing", _with(good, exp=MISSING), "claims"
    yield "exp is spelt EXP", _with(good, exp=MISSING, EXP=good["exp"]), "claims"
    for claim in ("exp", "nbf", "iat"):
        for name, value in NOT_SECONDS.items():
            yield f"{claim} is {name}", _with(good, **{claim: value}), "claims"
        yield f"{claim} is 1e400", _with(good, **{claim: "?"}).replace(b'"?"', b"1e400"), "claims"
    yield "exp was 31 s ago", _with(good, exp=now - 31, iat=now - 331), "expired"
    yield "exp was 30 s ago", _with(good, exp=now - 30), "expired"
    yield "exp was an hour ago", _with(good, exp=now - 3600, iat=now - 3900), "expired"
    yield "exp was in 1970", _with(good, exp=0), "expired"
    yield "exp was just before 1970, nearly", _with(good, exp=-0.0), "expired"
    yield "exp was a fraction ago", _with(good, exp=now - 31.5), "expired"
    yield (
        "exp was ago, and so is all else wrong",
        _with(good, exp=1, sub="", iss="x", aud="x", nbf=now + 900),
        "expired",
    )
    yield "nbf is in two minutes", _with(good, nbf=now + 120), "not_yet_valid"
    yield "nbf is behind exp", _with(good, nbf=now + 301), "not_yet_valid"
    yield "nbf is in the year 9999", _with(good, nbf=253_402_300_799), "not_yet_valid"
    yield "iat is in two minutes", _with(good, iat=now + 120), "issued_in_future"
    yield "iat is in a year", _with(good, iat=now + 31_536_000), "issued_in_future"
    yield "exp is too far", _with(good, exp=now + longest + 3600, iat=MISSING), "lifetime"
    yield "exp is in ten years", _with(good, exp=now + 315_360_000), "lifetime"
    yield "exp is in the year 9999", _with(good, exp=253_402_300_799), "lifetime"
    yield "exp is too far from iat", _with(good, iat=now - longest, exp=now + 60), "lifetime"
    yield "iat was in 1970", _with(good, iat=0), "lifetime"


def _subjects(good: dict[str, object]) -> Iterator[Row]:
    subjects: dict[str, object] = {
        "missing": MISSING,
        "null": None,
        "a number": 1,
        "0": 0,
        "true": True,
        "a list": ["me"],
        "an object": {"id": "me"},
        "empty": "",
        "of 256 characters": "x" * 256,
        "of 4,000 characters": "x" * 4000,
        "NUL": "\0",
        "ended by NUL": "admin\0",
        "broken by a line feed": "a\nb",
        "broken by a carriage return": "a\rb",
        "broken by a tab": "a\tb",
        "followed by DEL": "me\x7f",
        "followed by U+0085": "me\x85",
        "half a surrogate pair": "\ud800",
        "a surrogate pair the wrong way round": "\udc00\ud800",
        "an escape sequence": "\x1b[31mme",
    }
    for name, subject in subjects.items():
        yield f"sub is {name}", _with(good, sub=subject), "subject"
    yield "sub is spelt Sub", _with(good, sub=MISSING, Sub=good["sub"]), "subject"
    yield "sub has a space in its name", _with(good, sub=MISSING, **{"sub ": good["sub"]}), "subject"


def _near(text: str) -> dict[str, object]:
    """Values that look like `text` and are different."""
    return {
        "missing": MISSING,
        "null": None,
        "true": True,
        "a number": 1,
        "empty": "",
        "somebody else": "https://else.example",
        "too short": text[:-1],
        "longer": f"{text}/",
        "upper case": text.upper(),
        "led by a space": f" {text}",
        "followed by a line feed": f"{text}\n",
        "followed by NUL": f"{text}\0",
        "a homoglyph": text.replace("o", "\u043e").replace("e", "\u0435"),
        "an object": {text: True},
        "quoted": json.dumps(text),
        "a list in a list": [[text]],
    }


def _issuers(good: dict[str, object], issuer: str) -> Iterator[Row]:
    for name, value in {**_near(issuer), "a list": [issuer]}.items():
        yield f"iss is {name}", _with(good, iss=value), "issuer"


def _audiences(good: dict[str, object], audience: str) -> Iterator[Row]:
    lists: dict[str, object] = {
        "an empty list": [],
        "a list of others": ["https://else.example", f"{audience}x"],
        "a list with a number beside it": [audience, 1],
        "a list with null beside it": [None, audience],
        "a list with a list beside it": [audience, []],
        "a list of an object": [{"aud": audience}],
        "two in one string": f"{audience} https://else.example",
        "two in one string with a comma": f"https://else.example,{audience}",
    }
    for name, value in {**_near(audience), **lists}.items():
        yield f"aud is {name}", _with(good, aud=value), "audience"
