"""Parsers of settings: text in, value out.

Each raises ValueError with the rest of a sentence that begins with the variable's name; the sentence has no secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_interface
from typing import Final, TypeVar

from todo_adapters.auth.keys import SHORTEST_SECRET

Choice = TypeVar("Choice", bound=str)

_SHARED_CLAIMS: Final = frozenset(
    "email emails phone_number preferred_username nickname name given_name family_name upn unique_name "  # noqa: SIM905  a list would take a line for each claim
    "iss aud azp client_id cid exp nbf iat auth_time scope scp role roles typ".split()
)
"""Claims whose value can later belong to another person (OpenID Connect Core 5.7), or to all users at once."""

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+")


def secrets(text: str) -> tuple[str, ...]:
    """Return the secrets between white space, each of at least SHORTEST_SECRET bytes."""
    found = tuple(text.split())
    for number, secret in enumerate(found, start=1):
        if len(secret.encode()) < SHORTEST_SECRET:
            which = "must be" if len(found) == 1 else f"must have a secret number {number} that is"
            raise ValueError(f"{which} at least {SHORTEST_SECRET} bytes long: make one with openssl rand -hex 32")
    return found


def names(text: str) -> tuple[str, ...]:
    """Return the names between white space. Refuse commas and quotation marks, which a name does not contain."""
    for name in text.split():
        if "," in name or name[0] in "\"'" or name[-1] in "\"'":
            raise ValueError(f"must have a space between two, no comma and no quotation marks, not {name!r}")
    return tuple(text.split())


def user_claim(text: str) -> str:
    """Return the name of the claim that names the user. Refuse claims that two people can share."""
    if text in _SHARED_CLAIMS:
        raise ValueError(f"must be a claim that the issuer never gives to two people, not {text!r}")
    if text.split() != [text]:
        raise ValueError(f"must be the name of one claim, not {text!r}")
    return text


def hosts(text: str) -> tuple[str, ...]:
    """Return the host names between white space, in lower case."""
    for host in text.split():
        if not _HOST.fullmatch(host) and not _is_address(host):
            raise ValueError(f"must be host names without scheme and port, with a space between two, not {host!r}")
    return tuple(text.lower().split())


def networks(text: str) -> tuple[str, ...]:
    """Return the IP addresses and networks between white space."""
    for network in text.split():
        try:
            named = ip_interface(network)
        except ValueError:
            raise ValueError(f"must be IP addresses or networks, with a space between two, not {network!r}") from None
        if int(named.ip) != int(named.network.network_address):  # as numbers: an address may have a zone
            raise ValueError(f"must name a network by its first address: {named.network}")
    return tuple(text.split())


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def rate(text: str) -> str:
    """Return a rate such as `100/minute` unchanged, after a check."""
    from todo_adapters.http.middleware.rate_limit import parsed_limit  # noqa: PLC0415  only rate limits need its library

    parsed_limit(text)
    return text


def number(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of decimal integers from `least` to `most`."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a number from {least} to {most} without a unit, not {text!r}")
        return int(text)

    return parse


def choice(*choices: Choice) -> Callable[[str], Choice]:
    """Return a parser that accepts only these words."""

    def parse(text: str) -> Choice:
        for known in choices:
            if text == known:
                return known
        raise ValueError(f"must be {' or '.join(choices)}, not {text!r}")

    return parse


def switch(text: str) -> bool:
    """Return whether the setting is `on`; the other value is `off`."""
    return choice("on", "off")(text) == "on"
