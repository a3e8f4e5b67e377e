"""Issuers without a discovery document, or whose keys are not at the URL that it names."""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class KnownIssuer(NamedTuple):
    """An issuer's name, and the URL of its keys, None if they have none. `note` is for people."""

    name: str
    key_url: str | None = None
    note: str = ""


_KNOWN: Final = {
    r"https://api\.workos\.com/user_management/(?P<id>client_\w+)": KnownIssuer(
        "WorkOS", "https://api.workos.com/sso/jwks/{id}"
    ),
    r"stytch\.com/(?P<id>project-test-[\w-]+)": KnownIssuer("Stytch", "https://test.stytch.com/v1/sessions/jwks/{id}"),
    r"stytch\.com/(?P<id>project-[\w-]+)": KnownIssuer("Stytch", "https://api.stytch.com/v1/sessions/jwks/{id}"),
    r"(?:https://api\.descope\.com/)?(?P<id>P[0-9A-Za-z]{20,})": KnownIssuer(
        "Descope", "https://api.descope.com/{id}/.well-known/jwks.json"
    ),
    r"(?P<url>https://\w+\.supabase\.(?:co|in)/auth/v1)": KnownIssuer("Supabase", "{url}/.well-known/jwks.json"),
    r"(?P<url>https://[\w.-]+\.neon\.(?:build|tech))": KnownIssuer(
        "Neon Auth",
        "{url}/neondb/auth/.well-known/jwks.json",
        "the issuer is the origin of the Auth URL in Neon's console, and the key URL has the database's name in it, "
        "neondb here",
    ),
    r"(?P<url>https://api\.stack-auth\.com/api/v1/projects/[\w-]+)": KnownIssuer(
        "Stack Auth", "{url}/.well-known/jwks.json"
    ),
    r"(?P<url>https://[\w-]+\.cloudflareaccess\.com)": KnownIssuer("Cloudflare Access", "{url}/cdn-cgi/access/certs"),
    r"https://cloud\.google\.com/iap": KnownIssuer("Google IAP", "https://www.gstatic.com/iap/verify/public_key-jwk"),
    r"https?://(?P<host>[\w.-]+)/adfs/services/trust": KnownIssuer("AD FS", "https://{host}/adfs/discovery/keys"),
    r"(?P<url>https?://.+/auth)": KnownIssuer("SuperTokens, by the look of it", "{url}/jwt/jwks.json"),
    r"https://kubernetes\.default\.svc(?:\..+)?": KnownIssuer(
        "Kubernetes",
        note="save what kubectl get --raw /openid/v1/jwks prints, and name the file in TODO_JWKS_FILE",
    ),
    r"https://[\w-]+\.okta(?:preview|-emea)?\.com": KnownIssuer(
        "Okta's org authorization server",
        note="no other service can verify its access tokens, so use a custom one, such as …/oauth2/default",
    ),
}


def known_issuer(issuer: str) -> KnownIssuer | None:
    """Return the known issuer with this name, None if there is none."""
    for pattern, known in _KNOWN.items():
        if found := re.fullmatch(pattern, issuer):
            return known._replace(key_url=known.key_url and known.key_url.format(**found.groupdict()))
    return None
