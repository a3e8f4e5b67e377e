"""Fetches small documents of an issuer over https, bounded in size and without redirects.

Only this module imports httpx, so a service with shared secrets or a key file does not load it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from pathlib import Path
from typing import Final, NamedTuple
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed leaves it out

import httpx

from todo_adapters.auth.loading import CannotLoad

LARGEST_DOCUMENT: Final = 256 * 1024
"""The most bytes of a document; a larger one is not read to its end."""

_TIMEOUT: Final = 30.0
"""Seconds for one step of a fetch; the caller's deadline for the whole fetch is shorter."""

_LAST_PORT: Final = 65_535
_MAX_AGE: Final = re.compile(r"(?:^|[,\s])max-age\s*=\s*\"?([0-9]{1,10})", re.IGNORECASE)


class Document(NamedTuple):
    """A fetched document, and its `max-age` in seconds, None if its server sent none."""

    content: bytes
    max_age: int | None


class Fetcher:
    """Fetches documents; redirects and compressed responses are errors.

    Plain http is allowed for loopback hosts and `http_hosts` only. `tls` has the trusted authorities; None trusts those
    that httpx ships. Requests over https go through `proxy`, except to the hosts in `no_proxy` (a list as in NO_PROXY).
    Raises ValueError with the rest of a sentence about a proxy that cannot be used.
    """

    def __init__(
        self,
        *,
        http_hosts: frozenset[str] = frozenset(),
        proxy: str | None = None,
        no_proxy: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._http_hosts = http_hosts
        # Reading the authorities is slow, so do it here and not in the event loop.
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._proxy = _checked_proxy(proxy, self._tls) if proxy else None
        self._no_proxy = no_proxy

    def checked(self, url: str) -> httpx.URL:
        """Return a URL that may be fetched, or raise ValueError with the rest of a sentence about it."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            raise ValueError("is not a URL") from None
        if parsed.scheme != "https" and not (parsed.scheme == "http" and self._may_be_plain(parsed.host)):
            raise ValueError(
                "must begin with https://, or with http:// on a loopback host or one of TODO_JWKS_HTTP_HOSTS"
            )
        if not parsed.host or parsed.userinfo:
            raise ValueError("must have a host, and neither a user name nor a password")
        if parsed.port is not None and not 0 < parsed.port <= _LAST_PORT:
            raise ValueError(f"must have a port from 1 to {_LAST_PORT}, or none")
        return parsed

    async def get(self, url: httpx.URL) -> Document:
        """Return the document at a checked URL, or raise CannotLoad. The caller sets the deadline."""
        try:
            return await self._get(url)
        except (httpx.HTTPError, OSError) as error:
            raise CannotLoad(_in_short(error)) from None

    async def _get(self, url: httpx.URL) -> Document:
        # A new client for each fetch keeps no connections, no cookies and no event loop.
        async with (
            httpx.AsyncClient(
                verify=self._tls, trust_env=False, timeout=_TIMEOUT, proxy=self._proxy_for(url)
            ) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}, follow_redirects=False) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise CannotLoad(f"status {response.status_code}")
            # A few compressed bytes can expand to any size.
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise CannotLoad("compressed")
            content = bytearray()
            async for part in response.aiter_raw():
                content += part
                if len(content) > LARGEST_DOCUMENT:
                    raise CannotLoad(f"more than {LARGEST_DOCUMENT} bytes")
            age = _MAX_AGE.search(response.headers.get("Cache-Control", ""))
        return Document(bytes(content), int(age[1]) if age else None)

    def _may_be_plain(self, host: str) -> bool:
        return host.lower() in self._http_hosts or _is_loopback(host)

    def _proxy_for(self, url: httpx.URL) -> httpx.Proxy | None:
        """Return the proxy for an https URL; plain http uses none, because it stays on this machine or network."""
        if self._proxy is None or url.scheme != "https":
            return None
        host = url.host if url.port is None else f"{url.host}:{url.port}"
        return None if proxy_bypass_environment(host, {"no": self._no_proxy}) else self._proxy


def _in_short(error: Exception) -> str:
    """Return the reason of a failed fetch, without a host, a path or a byte of the response."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or 'broken'}"
        if isinstance(cause, TimeoutError | httpx.TimeoutException):
            return "too slow"
        if isinstance(cause, socket.gaierror):
            return "the host name does not resolve"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ProxyError):
        return "the proxy refused the request"
    return type(error).__name__


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def trusting(authorities: Path) -> ssl.SSLContext:
    """Return a context that trusts only the certificates in this file. Raises ValueError."""
    try:
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError):
        raise ValueError("is not a file of PEM certificates that can be read") from None


def _checked_proxy(proxy: str, tls: ssl.SSLContext) -> httpx.Proxy:
    try:
        parsed = httpx.Proxy(proxy)
    except (ValueError, httpx.InvalidURL):
        parsed = None
    if parsed is None or parsed.url.scheme not in {"http", "https"} or not parsed.url.host:
        raise ValueError("must be the URL of a proxy, such as http://proxy.example:3128") from None
    return httpx.Proxy(proxy, ssl_context=tls) if parsed.url.scheme == "https" else parsed
