"""Web origins in the spelling that browsers send (RFC 6454, section 6.2)."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_ORIGIN: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)"
    r"(?::0*(?P<port>[1-9][0-9]{0,4}))?"
)
_ADDRESS: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""A host that the URL standard parses as an IPv4 address: its last label is a number."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LARGEST_PORT: Final = 65_535


def origins(text: str) -> tuple[str, ...]:
    """Return the origins between white space, each once. Raises ValueError like every parser of a setting.

    Any scheme is allowed (`tauri://localhost`). Letter case, the default port and the spelling of an IPv6 address are
    normalised. A path is refused, even `/`, because an origin has none.
    """
    return tuple(dict.fromkeys(_normalised(each) for each in text.split()))


def _normalised(text: str) -> str:
    match = _ORIGIN.fullmatch(text.lower())
    if match is None and _ORIGIN.fullmatch(text.lower().removesuffix("/")):
        raise ValueError(f"must be origins, without a path: {text.removesuffix('/')!r}, not {text!r}")
    host = match and _host(match["host"])
    port = int(match["port"] or 0) if match else 0
    if match is None or host is None or port > _LARGEST_PORT:
        raise ValueError(
            f"must be exact origins like https://app.example.com, with a space between two, not {text!r} "
            "(a name beyond ASCII as browsers send it, xn--…)"
        )
    return f"{match['scheme']}://{host}" + ("" if port in {0, _DEFAULT_PORTS.get(match["scheme"])} else f":{port}")


def _host(text: str) -> str | None:
    """Return the host as browsers write it, None for an IPv4 address that is malformed or spelt another way."""
    try:
        if text.startswith("["):
            return f"[{IPv6Address(text[1:-1]).compressed}]"
        return str(IPv4Address(text)) if _ADDRESS.fullmatch(text) else text
    except ValueError:
        return None
