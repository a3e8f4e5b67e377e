"""Tokens and keys in the shapes of real providers, and the settings that accept them.

Identifiers are invented. Times, `jti` and the like are filled in when a token is made.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from support.issuers import Issuer

UUID_1, UUID_2, UUID_3 = (str(UUID(int=0x1F8E3A526B7C4D9A8E10A1B2C3D4E5F0 + n)) for n in range(3))
TENANT, API = UUID_2, "https://todo.example/api"


class Shape(NamedTuple):
    """A provider's token. `settings` take it once the keys are known; `jwk` is what its keys have besides, or lack."""

    provider: str
    algorithm: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    settings: Mapping[str, str]
    lifetime: int = 3600
    jwk: Mapping[str, Any] = {}

    def token(self, issuer: Issuer, **changes: object) -> str:
        """A token as of now; a change to None leaves a claim out."""
        now = int(time.time())
        named = {"alg": self.algorithm, "kid": issuer.kids[self.algorithm], **self.header}
        header = {name: value for name, value in named.items() if value is not None}
        claims = {"iat": now, "exp": now + self.lifetime, **self.claims, **changes}
        return issuer.token(
            self.algorithm, {name: value for name, value in claims.items() if value is not None}, header
        )

    def keys(self, issuer: Issuer) -> dict[str, Any]:
        """The provider's key set."""
        key = {**issuer.jwk(self.algorithm), **self.jwk}
        return {"keys": [{name: value for name, value in key.items() if value is not ...}]}

    @property
    def user(self) -> str:
        """The user of the token."""
        return str(self.claims[self.settings.get("TODO_JWT_USER_CLAIM", "sub")])


def _audience(iss: str, aud: str, **more: str) -> dict[str, str]:
    return {"TODO_JWT_ISSUER": iss, "TODO_JWT_AUDIENCE": aud, **more}


def _clients(iss: str, clients: str) -> dict[str, str]:
    return {"TODO_JWT_ISSUER": iss, "TODO_JWT_AUDIENCE": "none", "TODO_JWT_CLIENTS": clients}


JWT = {"typ": "JWT"}
AT = {"typ": "at+jwt"}
X5 = {"x5t": "-KI3Q9nNR7bRofxmeZoXqbHZGew", "x5c": ["MIIC/zCCAeegAwIBAgIJ"]}

AUTH0 = "https://dev-x1y2.eu.auth0.com/"
CLERK = "https://clever-fox-12.clerk.accounts.dev"
ENTRA_1, ENTRA_2 = f"https://sts.windows.net/{TENANT}/", f"https://login.microsoftonline.com/{TENANT}/v2.0"
B2C = f"https://contoso.b2clogin.com/{TENANT}/v2.0/"
EXTERNAL = f"https://{TENANT}.ciamlogin.com/{TENANT}/v2.0"
ADFS = "http://adfs.example.com/adfs/services/trust"
OKTA = "https://dev-123456.okta.com/oauth2/default"
COGNITO = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI"
SUPABASE = "https://abcdefghijklmnopqrst.supabase.co/auth/v1"
NEON = "https://ep-cool-darkness-a1b2c3.neonauth.us-east-2.aws.neon.build"
STACK = f"https://api.stack-auth.com/api/v1/projects/{UUID_3}"
BETTER = "https://app.example.com"
KEYCLOAK = "https://id.example.com/realms/todo"
LOGTO = "https://abc123.logto.app/oidc"
ZITADEL = "https://todo-x1y2z3.zitadel.cloud"
HYDRA = "https://frosty-raman-x1y2.projects.oryapis.com"
KINDE = "https://todo.kinde.com"
WORKOS = "https://api.workos.com/user_management/client_01HXYZABCDEFGH"
FUSION = "acme.com"
ACCESS = "https://todo.cloudflareaccess.com"
PING = f"https://auth.pingone.eu/{TENANT}/as"

_AUTH0 = {"iss": AUTH0, "sub": "auth0|64f0c1a2b3", "azp": "Zb5tLqk2Y0", "scope": "openid profile read:tasks"}
_CLERK = {
    "azp": "http://localhost:3000",
    "fva": [0, -1],
    "iss": CLERK,
    "sid": "sess_2abc",
    "sub": "user_2xyz",
    "sts": "active",
    "v": 2,
}
_ENTRA_1 = {
    "aud": f"api://{UUID_1}",
    "iss": ENTRA_1,
    "acr": "1",
    "aio": "ATQAy/8TAAAA",
    "amr": ["pwd"],
    "appid": UUID_3,
    "appidacr": "0",
    "ipaddr": "203.0.113.7",
    "name": "Ann",
    "oid": UUID_2,
    "rh": "0.AX0A",
    "scp": "Tasks.ReadWrite",
    "sub": "l3roISQU222bULS9yi2k0XpqpOiMz5H3ZACo1GeXA",
    "tid": TENANT,
    "unique_name": "ann@example.com",
    "upn": "ann@example.com",
    "uti": "fqiBqXLPj0eQa82S-IYFAA",
    "ver": "1.0",
}
_ENTRA_2 = {
    "aud": UUID_1,
    "iss": ENTRA_2,
    "azp": UUID_3,
    "azpacr": "0",
    "name": "Ann",
    "oid": UUID_2,
    "preferred_username": "ann@example.com",
    "rh": "0.AX0A",
    "scp": "Tasks.ReadWrite",
    "sub": "HKZpfaHyWadeOouYlitjrI",
    "tid": TENANT,
    "uti": "fqiBqXLPj0eQa82S",
    "ver": "2.0",
}
_OKTA = {
    "ver": 1,
    "jti": "AT.0mP4JKAZX1iA",
    "iss": OKTA,
    "aud": "api://default",
    "cid": "0oa1b2c3d4",
    "uid": "00u1a2b3c4",
    "scp": ["openid", "profile"],
    "auth_time": 1_700_000_000,
    "sub": "ann@example.com",
}
_COGNITO = {
    "sub": UUID_1,
    "iss": COGNITO,
    "client_id": "5k3h2j1example",
    "origin_jti": UUID_2,
    "event_id": UUID_3,
    "token_use": "access",
    "scope": "aws.cognito.signin.user.admin",
    "auth_time": 1_700_000_000,
    "jti": UUID_3,
    "username": UUID_1,
    "cognito:groups": ["users"],
}
_SUPABASE = {
    "iss": SUPABASE,
    "sub": UUID_1,
    "aud": "authenticated",
    "email": "ann@example.com",
    "phone": "",
    "role": "authenticated",
    "app_metadata": {"provider": "email", "providers": ["email"]},
    "user_metadata": {"email_verified": True},
    "aal": "aal1",
    "amr": [{"method": "password", "timestamp": 1_700_000_000}],
    "session_id": UUID_2,
    "is_anonymous": False,
}
_BETTER = {
    "iss": BETTER,
    "aud": BETTER,
    "sub": "fJ3kx0QyZ9vT2mWq7LrB1nC8",
    "id": "fJ3kx0QyZ9vT2mWq7LrB1nC8",
    "name": "Ann",
    "email": "ann@example.com",
    "emailVerified": True,
    "image": None,
    "createdAt": "2026-11-22T09:15:00.123Z",
}
_KEYCLOAK = {
    "jti": f"onrtac:{UUID_3}",
    "iss": KEYCLOAK,
    "sub": UUID_1,
    "typ": "Bearer",
    "azp": "web",
    "sid": UUID_2,
    "acr": "1",
    "allowed-origins": ["http://localhost:3000"],
    "realm_access": {"roles": ["offline_access", "uma_authorization"]},
    "resource_access": {"account": {"roles": ["manage-account"]}},
    "scope": "openid email profile",
    "email_verified": True,
    "preferred_username": "ann",
    "email": "ann@example.com",
}
_LOGTO = {"jti": "m3vK", "sub": "u1r4l2", "scope": "tasks", "client_id": "x9y8z7", "iss": LOGTO, "aud": API}

SHAPES = (
    Shape("Auth0", "RS256", JWT, {**_AUTH0, "aud": [API, f"{AUTH0}userinfo"]}, _audience(AUTH0, API), 86_400, X5),
    Shape(
        "Auth0, RFC 9068 profile",
        "RS256",
        AT,
        {**_AUTH0, "aud": API, "jti": "x", "client_id": "Zb5tLqk2Y0"},
        _audience(AUTH0, API, TODO_JWT_CLIENTS="Zb5tLqk2Y0"),
    ),
    Shape("Auth0, PS256", "PS256", JWT, {**_AUTH0, "aud": API, "permissions": []}, _audience(AUTH0, API)),
    Shape(
        "Clerk, session token",
        "RS256",
        {**JWT, "cat": "cl_B7d4PD111AAA"},
        _CLERK,
        _clients(CLERK, "http://localhost:3000"),
        60,
    ),
    Shape(
        "Clerk, JWT template",
        "RS256",
        {**JWT, "cat": "cl_B7d4PD222AAA"},
        {**_CLERK, "aud": "todo", "jti": "a1"},
        _audience(CLERK, "todo"),
        60,
    ),
    Shape(
        "Entra ID, v1",
        "RS256",
        {**JWT, "x5t": X5["x5t"]},
        {**_ENTRA_1, "nbf": 1_700_000_000},
        _audience(ENTRA_1, f"api://{UUID_1}"),
        4_500,
        {**X5, "alg": ...},
    ),
    Shape(
        "Entra ID, v2", "RS256", JWT, _ENTRA_2, _audience(ENTRA_2, UUID_1), 4_500, {**X5, "alg": ..., "issuer": ENTRA_2}
    ),
    Shape(
        "Entra ID, managed identity",
        "RS256",
        {**JWT, "x5t": X5["x5t"]},
        {**_ENTRA_1, "idtyp": "app", "upn": None},
        _audience(ENTRA_1, f"api://{UUID_1}"),
        86_700,
        {"alg": ...},
    ),
    Shape(
        "Entra ID, 157 groups",
        "RS256",
        JWT,
        {**_ENTRA_2, "groups": [str(UUID(int=n)) for n in range(157)]},
        _audience(ENTRA_2, UUID_1),
        4_500,
        {"alg": ...},
    ),
    Shape(
        "Entra External ID",
        "RS256",
        JWT,
        {**_ENTRA_2, "iss": EXTERNAL},
        _audience(EXTERNAL, UUID_1),
        4_500,
        {"alg": ...},
    ),
    Shape(
        "Azure AD B2C",
        "RS256",
        JWT,
        {
            "aud": UUID_1,
            "iss": B2C,
            "sub": UUID_2,
            "tfp": "B2C_1_signin",
            "azp": UUID_3,
            "ver": "1.0",
            "scp": "tasks",
            "nbf": 1,
        },
        _audience(B2C, UUID_1),
        3_600,
        {"alg": ..., "nbf": 1_493_763_266},
    ),
    Shape(
        "AD FS",
        "RS256",
        {**JWT, "x5t": X5["x5t"]},
        {
            "aud": "microsoft:identityserver:todo",
            "iss": ADFS,
            "apptype": "Public",
            "appid": UUID_3,
            "sub": "x/y+z=",
            "authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
            "ver": "1.0",
            "scp": "openid",
        },
        _audience(ADFS, "microsoft:identityserver:todo"),
        3_600,
        X5,
    ),
    Shape(
        "Okta, custom authorization server",
        "RS256",
        {},
        _OKTA,
        _audience(OKTA, "api://default", TODO_JWT_USER_CLAIM="uid"),
    ),
    Shape("Cognito, access token", "RS256", {}, _COGNITO, _clients(COGNITO, "5k3h2j1example")),
    Shape(
        "Cognito, ID token",
        "RS256",
        {},
        {"sub": UUID_1, "iss": COGNITO, "aud": "5k3h2j1example", "token_use": "id", "cognito:username": UUID_1},
        _audience(COGNITO, "5k3h2j1example"),
    ),
    Shape(
        "Firebase",
        "RS256",
        JWT,
        {
            "iss": "https://securetoken.google.com/todo-1a2b",
            "aud": "todo-1a2b",
            "auth_time": 1,
            "user_id": "aB3",
            "sub": "aB3",
            "firebase": {"identities": {"email": ["ann@example.com"]}, "sign_in_provider": "password"},
        },
        _audience("https://securetoken.google.com/todo-1a2b", "todo-1a2b"),
    ),
    Shape(
        "Google, ID token",
        "RS256",
        JWT,
        {
            "iss": "https://accounts.google.com",
            "azp": "1.apps.googleusercontent.com",
            "aud": "1.apps.googleusercontent.com",
            "sub": "110169484474386276334",
            "hd": "example.com",
            "at_hash": "HK6E",
        },
        _audience("https://accounts.google.com", "1.apps.googleusercontent.com"),
    ),
    Shape(
        "Google IAP",
        "ES256",
        JWT,
        {
            "aud": "/projects/1234/global/backendServices/5678",
            "iss": "https://cloud.google.com/iap",
            "sub": "accounts.google.com:110169484474386276334",
            "hd": "example.com",
            "identity_source": "GOOGLE",
        },
        _audience("https://cloud.google.com/iap", "/projects/1234/global/backendServices/5678"),
        600,
    ),
    Shape(
        "Apple",
        "RS256",
        {},
        {"iss": "https://appleid.apple.com", "aud": "com.example.todo", "sub": "001.a2b.3", "nonce_supported": True},
        _audience("https://appleid.apple.com", "com.example.todo"),
        86_400,
    ),
    Shape(
        "Supabase, signing keys",
        "ES256",
        JWT,
        _SUPABASE,
        _audience(SUPABASE, "authenticated"),
        3_600,
        {"key_ops": ["verify"], "ext": True},
    ),
    Shape(
        "Neon Auth",
        "EdDSA",
        {},
        {**_BETTER, "iss": NEON, "aud": NEON, "role": "authenticated", "banned": False},
        _audience(NEON, NEON),
        900,
        {"use": ...},
    ),
    Shape(
        "Stack Auth",
        "ES256",
        {},
        {
            "sub": UUID_1,
            "iss": STACK,
            "aud": UUID_3,
            "branch_id": "main",
            "role": "authenticated",
            "refresh_token_id": UUID_2,
            "is_anonymous": False,
        },
        _audience(STACK, UUID_3),
    ),
    Shape("Better Auth", "EdDSA", {}, _BETTER, _audience(BETTER, BETTER), 900, {"use": ...}),
    Shape("Better Auth, ES512", "ES512", {}, _BETTER, _audience(BETTER, BETTER), 900, {"use": ...}),
    Shape("Keycloak, as it comes", "RS256", JWT, _KEYCLOAK, _clients(KEYCLOAK, "web mobile"), 300, X5),
    Shape(
        "Keycloak, audience mapper",
        "RS256",
        JWT,
        {**_KEYCLOAK, "aud": ["todo", "account"]},
        _audience(KEYCLOAK, "todo", TODO_JWT_CLIENTS="web"),
        300,
        X5,
    ),
    Shape("Keycloak, PS256", "PS256", JWT, {**_KEYCLOAK, "aud": "todo"}, _audience(KEYCLOAK, "todo"), 300),
    Shape("Keycloak, EdDSA", "EdDSA", JWT, {**_KEYCLOAK, "aud": "todo"}, _audience(KEYCLOAK, "todo"), 300),
    Shape("Logto", "ES384", AT, _LOGTO, _audience(LOGTO, API)),
    Shape(
        "ZITADEL",
        "RS256",
        JWT,
        {
            "iss": ZITADEL,
            "sub": "180061234567890123",
            "aud": ["2@todo", "180061111111111111"],
            "client_id": "2@todo",
            "jti": "V2_1",
            "nbf": 1,
        },
        _audience(ZITADEL, "180061111111111111"),
        43_200,
    ),
    Shape(
        "authentik",
        "RS256",
        JWT,
        {
            "iss": "https://auth.example.com/application/o/todo/",
            "sub": "a3f1" * 16,
            "aud": "cLi3nt",
            "azp": "cLi3nt",
            "acr": "goauthentik.io/providers/oauth2/default",
            "uid": "q9",
        },
        _audience("https://auth.example.com/application/o/todo/", "cLi3nt"),
        300,
        X5,
    ),
    Shape(
        "Ory Hydra",
        "RS256",
        JWT,
        {
            "aud": [],
            "client_id": UUID_3,
            "ext": {},
            "iss": HYDRA,
            "jti": UUID_2,
            "nbf": 1,
            "scp": ["openid"],
            "sub": UUID_1,
        },
        _clients(HYDRA, UUID_3),
    ),
    Shape(
        "Kinde",
        "RS256",
        JWT,
        {
            "aud": [],
            "azp": "b2c3",
            "gty": ["authorization_code"],
            "iss": KINDE,
            "jti": UUID_2,
            "org_code": "org_1",
            "permissions": [],
            "scp": ["openid"],
            "sub": "kp_1a2b",
        },
        _clients(KINDE, "b2c3"),
        86_400,
    ),
    Shape(
        "WorkOS AuthKit",
        "RS256",
        {},
        {
            "iss": WORKOS,
            "sub": "user_01H",
            "sid": "session_01H",
            "jti": "01H",
            "org_id": "org_01H",
            "role": "member",
            "permissions": [],
        },
        _clients(WORKOS, "any"),
        300,
        X5,
    ),
    Shape(
        "PropelAuth",
        "RS256",
        JWT,
        {
            "user_id": UUID_1,
            "sub": UUID_1,
            "iss": "https://auth.example.com",
            "email": "a@example.com",
            "org_id_to_org_member_info": {},
            "legacy_user_id": None,
        },
        _clients("https://auth.example.com", "any"),
        1_800,
    ),
    Shape(
        "SuperTokens",
        "RS256",
        {**JWT, "version": "5"},
        {
            "sub": UUID_1,
            "tId": "public",
            "rsub": UUID_1,
            "sessionHandle": UUID_2,
            "refreshTokenHash1": "9f" * 32,
            "parentRefreshTokenHash1": None,
            "antiCsrfToken": None,
            "iss": "https://api.example.com/auth",
            "st-ev": {"v": True},
        },
        _clients("https://api.example.com/auth", "any"),
    ),
    Shape(
        "Duende IdentityServer",
        "RS256",
        {**AT, "x5t": X5["x5t"]},
        {
            "iss": "https://demo.example.com",
            "aud": ["todo"],
            "nbf": 1,
            "scope": ["openid", "todo"],
            "amr": ["pwd"],
            "client_id": "web",
            "sub": "11",
            "auth_time": 1,
            "idp": "local",
            "sid": "2E",
        },
        _audience("https://demo.example.com", "todo"),
    ),
    Shape(
        "OpenIddict",
        "RS256",
        {"typ": "application/at+jwt"},
        {
            "iss": "https://id.example.com/",
            "aud": "todo",
            "scope": "openid",
            "jti": UUID_2,
            "sub": "11",
            "oi_prst": "web",
            "client_id": "web",
            "oi_au_id": UUID_3,
            "oi_tkn_id": UUID_1,
        },
        _audience("https://id.example.com/", "todo"),
        3_600,
        X5,
    ),
    Shape(
        "FusionAuth",
        "RS256",
        {**JWT, "gty": ["authorization_code"]},
        {
            "aud": UUID_3,
            "iss": FUSION,
            "sub": UUID_1,
            "jti": UUID_2,
            "authenticationType": "PASSWORD",
            "applicationId": UUID_3,
            "roles": ["user"],
            "sid": UUID_2,
            "tid": TENANT,
            "auth_time": 1,
        },
        _audience(FUSION, UUID_3),
    ),
    Shape(
        "Descope",
        "RS256",
        JWT,
        {
            "amr": ["email"],
            "drn": "DS",
            "iss": "P2abcdefghijklmnopqrstuvwxyz",
            "rexp": "2027-01-01T00:00:00Z",
            "sub": "U2abc",
        },
        _clients("P2abcdefghijklmnopqrstuvwxyz", "any"),
        600,
    ),
    Shape(
        "Stytch",
        "RS256",
        JWT,
        {
            "aud": ["project-live-1"],
            "iss": "stytch.com/project-live-1",
            "nbf": 1,
            "sub": "user-live-1",
            "https://stytch.com/session": {"id": "session-live-1", "authentication_factors": [{"type": "otp"}]},
        },
        _audience("stytch.com/project-live-1", "project-live-1"),
        300,
        X5,
    ),
    Shape(
        "Hanko",
        "RS256",
        JWT,
        {
            "aud": ["app.example.com"],
            "iss": "https://hanko.example.com",
            "sub": UUID_1,
            "session_id": UUID_2,
            "email": {"address": "ann@example.com", "is_primary": True},
        },
        _audience("https://hanko.example.com", "app.example.com"),
        43_200,
    ),
    Shape(
        "Nhost, own key",
        "RS256",
        {},
        {
            "https://hasura.io/jwt/claims": {"x-hasura-user-id": UUID_1},
            "iss": "hasura-auth",
            "sub": UUID_1,
            "aud": "todo",
        },
        _audience("hasura-auth", "todo"),
        900,
    ),
    Shape(
        "Cloudflare Access",
        "RS256",
        JWT,
        {
            "aud": ["32eafc7626e737136d40"],
            "email": "ann@example.com",
            "iss": ACCESS,
            "nbf": 1,
            "type": "app",
            "identity_nonce": "6ei69",
            "sub": UUID_1,
            "country": "DE",
        },
        _audience(ACCESS, "32eafc7626e737136d40"),
        86_400,
    ),
    Shape(
        "PingOne",
        "RS256",
        {},
        {
            "client_id": UUID_3,
            "iss": PING,
            "jti": UUID_2,
            "scope": "openid",
            "sub": UUID_1,
            "env": TENANT,
            "org": UUID_2,
            "sid": UUID_3,
            "aud": ["todo"],
        },
        _audience(PING, "todo"),
        3_600,
        {**X5, "alg": ...},
    ),
    Shape(
        "OneLogin",
        "RS256",
        JWT,
        {"jti": "u1", "sub": "55", "scope": "tasks", "iss": "https://x.onelogin.com/oidc/2", "aud": API, "cid": "c1"},
        _audience("https://x.onelogin.com/oidc/2", API),
    ),
    Shape(
        "Dex",
        "RS256",
        {},
        {
            "iss": "https://dex.example.com/dex",
            "sub": "CgcyMzQyNzQ5EgZnaXRodWI",
            "aud": "todo",
            "at_hash": "x",
            "federated_claims": {"connector_id": "github"},
        },
        _audience("https://dex.example.com/dex", "todo"),
        86_400,
    ),
    Shape(
        "Authelia",
        "RS256",
        AT,
        {
            "iss": "https://auth.example.com",
            "sub": UUID_1,
            "aud": [API],
            "client_id": "web",
            "jti": UUID_2,
            "nbf": 1,
            "scp": ["openid"],
        },
        _audience("https://auth.example.com", API),
    ),
    Shape(
        "Rauthy",
        "EdDSA",
        JWT,
        {
            "iss": "https://iam.example.com/auth/v1/",
            "aud": "web",
            "azp": "web",
            "typ": "Bearer",
            "sub": "1x",
            "scope": "openid",
            "roles": [],
        },
        _audience("https://iam.example.com/auth/v1/", "web"),
        1_800,
    ),
    Shape(
        "GitHub Actions",
        "RS256",
        {**JWT, "x5t": X5["x5t"]},
        {
            "iss": "https://token.actions.githubusercontent.com",
            "aud": "todo",
            "sub": "repo:acme/todo:ref:refs/heads/main",
            "repository_id": "74",
            "run_number": "10",
            "job_workflow_ref": "acme/todo/.github/workflows/x.yml@main",
            "jti": UUID_2,
        },
        _audience("https://token.actions.githubusercontent.com", "todo"),
        300,
        X5,
    ),
    Shape(
        "GitLab CI",
        "RS256",
        JWT,
        {
            "iss": "https://gitlab.com",
            "aud": API,
            "sub": "project_path:acme/todo:ref_type:branch:ref:main",
            "namespace_id": "72",
            "user_identities": [{"provider": "github", "extern_uid": "1"}],
        },
        _audience("https://gitlab.com", API),
    ),
    Shape(
        "Kubernetes",
        "RS256",
        {},
        {
            "aud": ["todo"],
            "iss": "https://kubernetes.default.svc.cluster.local",
            "nbf": 1,
            "kubernetes.io": {"namespace": "a", "serviceaccount": {"name": "b", "uid": UUID_1}},
            "sub": "system:serviceaccount:a:b",
        },
        _audience("https://kubernetes.default.svc.cluster.local", "todo"),
    ),
    Shape(
        "oidc-provider, Ed25519",
        "EdDSA",
        {**AT, "alg": "Ed25519"},
        {**_LOGTO, "iss": "https://op.example.com"},
        _audience("https://op.example.com", API),
        3_600,
        {"alg": "Ed25519"},
    ),
    Shape(
        "a snowflake in a custom claim",
        "RS256",
        JWT,
        {"iss": BETTER, "aud": API, "sub": "80351110224678912", "discord_id": 80351110224678912, "permissions": 2**70},
        _audience(BETTER, API),
    ),
)
"""One row a token."""

assert len({shape.provider for shape in SHAPES}) == len(SHAPES)
