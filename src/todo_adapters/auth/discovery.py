"""Finds the keys of an issuer by its URL (OpenID Connect Discovery 1.0, section 4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from todo_adapters.auth.loading import CannotLoad, Loaded, in_words, loaded
from todo_adapters.auth.strict_json import strict_json

if TYPE_CHECKING:
    import httpx

    from todo_adapters.auth.fetching import Fetcher

DISCOVERED_FOR: Final = 3600.0
"""Seconds for which the URL in a discovery document is used before the document is fetched again."""

PATH: Final = "/.well-known/openid-configuration"


class Discovery:
    """The keys of an issuer, from the URL in its discovery document. They are valid for that issuer only.

    Raises ValueError with the rest of a sentence about an issuer that is not a URL which may be fetched. `clock`
    returns monotonic seconds.
    """

    def __init__(self, issuer: str, fetcher: Fetcher, *, clock: Callable[[], float] = time.monotonic) -> None:
        if "?" in issuer or "#" in issuer:
            raise ValueError("must have neither a query nor a fragment")
        self._document = fetcher.checked(issuer.removesuffix("/") + PATH)
        self._issuer = issuer
        self._fetcher = fetcher
        self._clock = clock
        self._jwks_uri: httpx.URL | None = None
        self._until = 0.0

    @property
    def document(self) -> str:
        """The URL of the discovery document."""
        return str(self._document)

    async def load(self) -> Loaded:
        """Fetch the keys, and before them the discovery document if it is due. It is due again after a failure."""
        if self._jwks_uri is None or self._clock() >= self._until:
            self._jwks_uri, self._until = await self.discover(), self._clock() + DISCOVERED_FOR
        url, self._jwks_uri = self._jwks_uri, None
        keys = loaded(await self._fetcher.get(url), issuer=self._issuer)
        self._jwks_uri = url
        return keys

    async def discover(self) -> httpx.URL:
        """Fetch the discovery document and return the URL of the keys. Raises CannotLoad."""
        try:
            content = (await self._fetcher.get(self._document)).content
            return self._fetcher.checked(jwks_uri(content, self._issuer))
        except (CannotLoad, ValueError) as problem:
            raise CannotLoad(f"the discovery document: {in_words(problem)}") from None


def jwks_uri(document: bytes, issuer: str) -> str:
    """Return the URL of the key set in this issuer's discovery document. Raises ValueError."""
    members = strict_json(document)
    if not isinstance(members, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the document is wrong, not the caller's argument
    if members.get("issuer") != issuer:
        raise ValueError(f"its issuer is {str(members.get('issuer'))[:200]!r}, not {issuer!r}")
    url = members.get("jwks_uri")
    if not isinstance(url, str):
        raise ValueError("it has no jwks_uri")  # noqa: TRY004 - as above
    return url
