"""Hundreds of tokens that must be refused, made afresh in each run, and the reason for which each one is."""

import json
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ed25519

from support.hostile_claims import honest_claims, hostile_claims
from support.hostile_signatures import ALGORITHMS, Mode, Row, hostile_algorithms, hostile_keys, hostile_signatures
from support.issuers import Issuer, b64, compact, dumps, public_jwk

LONGEST = 16 * 1024
"""Characters of a token at most: as many as a header section may have."""

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Hostile(NamedTuple):
    """A token that must be refused: what is wrong with it, the token, and the reason code."""

    name: str
    token: str
    reason: str

    @property
    def sendable(self) -> bool:
        """Whether it fits in an Authorization header as it is: visible ASCII, and below 16 KiB with all else."""
        return 0 < len(self.token) <= 12_000 and all("!" <= character <= "~" for character in self.token)


def hostile_tokens(
    mode: Mode,
    keys: Issuer,
    *,
    now: float,
    issuer: str | None = None,
    audience: str | None = None,
    max_lifetime: float = 90_000,
) -> Iterator[Hostile]:
    """Yield at least 150 tokens for a service that trusts `keys` in this mode and has these settings.

    A service in mode "secret" trusts `keys.secret`, one in mode "jwks" the keys of `keys.jwks()` and has issuer
    and audience. All are refused for their reason if tried within a minute of `now`, seconds since 1970.
    """
    claims = honest_claims(now, **({"iss": issuer} if issuer else {}), **({"aud": audience} if audience else {}))
    for algorithm in ALGORITHMS[mode]:
        yield from (Hostile(f"{algorithm}: {row[0]}", *row[1:]) for row in hostile_signatures(keys, algorithm, claims))
    main = ALGORITHMS[mode][0]
    rows = [
        *_forms(keys, main, claims),
        *_headers(keys, main, claims),
        *hostile_algorithms(mode, keys, claims),
        *(hostile_keys(keys, claims) if mode == "jwks" else ()),
    ]
    yield from (Hostile(*row) for row in rows)
    for name, payload, reason in hostile_claims(now, max_lifetime, issuer, audience):
        yield Hostile(name, keys.token(main, payload), reason)


def _forms(keys: Issuer, algorithm: str, claims: dict[str, object]) -> Iterator[Row]:
    # White space at the end until the last character of header and payload has bits to spare.
    header, payload = (part + b" " * ((1 - len(part)) % 3) for part in (dumps(keys.header(algorithm)), dumps(claims)))
    good = keys.token(algorithm, payload, header)
    head, body, signature = good.split(".")
    none = b64(dumps({"alg": "none"}))
    wrong = {
        "nothing": "",
        "a dot": ".",
        "two dots": "..",
        "8,000 dots": "." * 8000,
        "one segment": head,
        "two segments": f"{head}.{body}",
        "four segments": f"{good}.{signature}",
        "five segments, as an encrypted token": f"{head}.{body}.{signature}.AA.AA",
        "a dot before it": f".{good}",
        "a dot behind it": f"{good}.",
        "no header": f".{body}.{signature}",
        "no payload": f"{head}..{signature}",
        "no signature": f"{head}.{body}.",
        "alg none and no signature": f"{none}.{body}.",
        "a word": "undefined",
        "an opaque token": secrets.token_urlsafe(32),
        "a number": "12345",
        "JWS JSON": json.dumps({"payload": body, "signatures": [{"protected": head, "signature": signature}]}),
        "the Bearer twice": f"Bearer {good}",
        "two with a comma": f"{good},{good}",
        "two with a space": f"{good} {good}",
        "quotes": f'"{good}"',
        "a percent sign": good.replace(".", "%2E"),
        "a space before it": f" {good}",
        "a space behind it": f"{good} ",
        "a line feed behind it": f"{good}\n",
        "a line feed inside": f"{head}.{body[:9]}\n{body[9:]}.{signature}",
        "CR LF and a header": f"{good}\r\nX-User: admin",
        "NUL behind it": f"{good}\0",
        "NUL inside": f"{head}.{body}\0.{signature}",
        "a full-width dot": good.replace(".", "\uff0e"),
        "full-width letters": f"{head}.{body}.{chr(0xFF21)}{signature[1:]}",
        "an umlaut": f"{good}\xe4",
        "a surrogate": f"{good}\ud800",
        "a plus": f"{head}.{body}.+{signature[1:]}",
        "a slash": f"{head}.{body}.{signature[:5]}/{signature[6:]}",
        "a tilde": f"{head}~.{body}.{signature}",
        "one character more than can be": f"{head}.{body}.{signature[: len(signature) // 4 * 4]}A",
    }
    for place, name in enumerate(("header", "payload", "signature")):
        segment = good.split(".")[place]
        spellings = {
            "an equals sign behind": f"{segment}=",
            "two equals signs behind": f"{segment}==",
            "full padding behind": segment + "=" * (-len(segment) % 4 or 4),
            "another last character of the same": segment[:-1] + _ALPHABET[_ALPHABET.index(segment[-1]) + 1],
        }
        for what, spelling in spellings.items():
            wrong[f"{what} {name}"] = ".".join(spelling if part == segment else part for part in good.split("."))
    for name, token in wrong.items():
        yield f"form: {name}", token, "malformed"
    budget = LONGEST + 1 - len(keys.token(algorithm, {**claims, "a": ""}))
    large = (keys.token(algorithm, {**claims, "a": "x" * size}) for size in range(budget * 3 // 4, budget))
    yield "form: a few characters too many", next(token for token in large if len(token) > LONGEST), "too_long"
    yield "form: 100,000 characters", keys.token(algorithm, {**claims, "a": "x" * 75_000}), "too_long"
    yield "form: 16,385 letters", "x" * (LONGEST + 1), "too_long"
    yield "form: a million dots", "." * 1_000_000, "too_long"


def _headers(keys: Issuer, algorithm: str, claims: dict[str, object]) -> Iterator[Row]:
    good = keys.header(algorithm)
    text = dumps(good).decode()
    own = ed25519.Ed25519PrivateKey.generate()
    url = "https://else.example/jwks"
    members: dict[str, dict[str, object]] = {
        "jku": {"jku": url},
        "x5u": {"x5u": url},
        "jwk": {"jwk": public_jwk(own)},
        "crit": {"crit": ["exp"], "exp": 1},
        "an empty crit": {"crit": []},
        "crit alone": {"crit": ["b64"]},
        "b64 false": {"b64": False, "crit": ["b64"]},
        "b64 true": {"b64": True},
        "zip": {"zip": "DEF"},
        "enc": {"enc": "A256GCM"},
        "jku null": {"jku": None},
        "crit null": {"crit": None},
        "jku among members that mean nothing": {"x5t": "AA", "nonce": "AA", "jku": url},
        "typ null": {"typ": None},
        "typ 1": {"typ": 1},
        "typ empty": {"typ": ""},
        "typ a list": {"typ": ["JWT"]},
        "typ JWE": {"typ": "JWE"},
        "typ JOSE": {"typ": "JOSE"},
        "typ application/jwt+x": {"typ": "application/jwt+x"},
        "typ application/ alone": {"typ": "application/"},
        "typ dpop+jwt": {"typ": "dpop+jwt"},
        "typ secevent+jwt": {"typ": "secevent+jwt"},
        "typ logout+jwt": {"typ": "logout+jwt"},
        "typ with a space": {"typ": "JWT "},
        "typ with NUL": {"typ": "JWT\0"},
        "alg null": {"alg": None},
        "alg 1": {"alg": 1},
        "alg true": {"alg": True},
        "alg a list": {"alg": [algorithm]},
        "alg an object": {"alg": {algorithm: 1}},
        "kid null": {"kid": None},
        "kid 1": {"kid": 1},
        "kid a list": {"kid": ["a"]},
        "kid an object": {"kid": {"a": 1}},
    }
    for name, extra in members.items():
        yield f"header: {name}", keys.token(algorithm, claims, {**good, **extra}), "header"
    yield "header: its own key", compact({"alg": "EdDSA", "jwk": public_jwk(own)}, claims, own), "header"
    documents = {
        "no alg": dumps({name: value for name, value in good.items() if name != "alg"}),
        "empty": b"{}",
        "alg twice": f'{{"alg":"{algorithm}",{text[1:]}'.encode(),
        "alg twice, first none": f'{{"alg":"none",{text[1:]}'.encode(),
        "alg twice, then none": f'{text[:-1]},"alg":"none"}}'.encode(),
        "alg twice, once escaped": f'{text[:-1]},"a\\u006cg":"none"}}'.encode(),
        "kid twice": f'{{"kid":"a","kid":"b",{text[1:]}'.encode(),
        "a foreign member twice": f'{{"nonce":"a","nonce":"a",{text[1:]}'.encode(),
        "a foreign member with a name twice": f'{{"nonce":{{"a":1,"a":1}},{text[1:]}'.encode(),
        "typ twice": f'{{"typ":"JWT","typ":"JWT",{text[1:]}'.encode(),
        "an array": f"[{text}]".encode(),
        "null": b"null",
        "a string": dumps(text),
        "a number": b"1",
        "no JSON": b"alg=none",
        "without end": text[:-1].encode(),
        "more behind": f"{text}{{}}".encode(),
        "a trailing comma": f"{text[:-1]},}}".encode(),
        "a comment": f"{text}//".encode(),
        "NUL behind": f"{text}\0".encode(),
        "a byte order mark": text.encode("utf-8-sig"),
        "UTF-16": text.encode("utf-16"),
        "UTF-16 LE": text.encode("utf-16-le"),
        "UTF-16 BE": text.encode("utf-16-be"),
        "UTF-32 BE": text.encode("utf-32-be"),
        "bytes that are no UTF-8": f'{{"typ":"@",{text[1:]}'.encode().replace(b"@", b"\xff"),
        "NaN": f'{{"kid":NaN,{text[1:]}'.encode(),
        "a huge integer": f'{{"kid":{"9" * 5000},{text[1:]}'.encode(),
        "arrays in arrays": b'{"alg":' + b"[" * 5000,
        "objects in objects": b'{"alg":' * 501 + b"1" + b"}" * 501,
    }
    for name, document in documents.items():
        yield f"header: {name}", keys.token(algorithm, claims, document), "header"
